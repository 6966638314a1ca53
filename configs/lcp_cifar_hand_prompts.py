"""Ablation: + the prompt discriminator with hand-written prompts."""

_base_ = 'lcp_cifar.py'
title = 'Hand-written prompts'
model = dict(networks=dict(prompt_discriminator=dict(prompts=dict(learn=False, template='a photo of a {}'))))
