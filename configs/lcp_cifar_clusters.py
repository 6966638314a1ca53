"""Ablation: + cluster conditions, without the prompt discriminator."""

_base_ = 'lcp_cifar.py'
title = 'Cluster conditions without prompts'
model = dict(
    networks=dict(clip=None, prompt_discriminator=None),
    players=dict(discriminator=['discriminator']),
    objectives=dict(prompts=None))
