"""Ablation: one learnt context shared by all classes and clusters (CoOp)."""

_base_ = 'lcp_cifar.py'
title = 'One shared CoOp prompt'
model = dict(networks=dict(prompt_discriminator=dict(prompts=dict(shared=True))))
