"""Ablation: + pseudo-labels; unlabelled images take part under the label a classifier gives them."""

_base_ = 'lcp_cifar.py'
title = 'BigGAN with pseudo-labels, no clusters, no prompts'
model = dict(
    networks=dict(clip=None, prompt_discriminator=None),
    players=dict(discriminator=['discriminator']),
    conditioner=dict(type='ClassConditions', class_names='data:classes', classifier='classifier'),
    objectives=dict(prompts=None))
evaluation = dict(metrics=dict(consistency=None))
