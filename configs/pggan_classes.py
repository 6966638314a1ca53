"""PGGAN on a folder of class folders, conditional: the discriminator also guesses the class (AC-GAN)."""

_base_ = 'pggan_folder.py'
title = 'PGGAN, conditional (AC-GAN)'
model = dict(
    networks=dict(generator=dict(n_conditions='data:n_classes'),
                  discriminator=dict(n_conditions='data:n_classes')),
    conditioner=dict(type='ClassConditions', class_names='data:classes'),
    objectives=dict(classes=dict(type='AuxiliaryClassifier')))
