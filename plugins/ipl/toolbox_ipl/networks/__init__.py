"""Networks that metrics look through, from files of the user: HED, IR-SE50, LPIPS, Inception's maps."""
