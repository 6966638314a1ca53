"""Ablation: four context words a prompt instead of sixteen."""

_base_ = 'lcp_cifar.py'
title = 'Context length 4'
model = dict(networks=dict(prompt_discriminator=dict(prompts=dict(context=4))))
