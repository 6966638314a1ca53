"""A user study of two methods: blinded pairs in one HTML file, and what the answers say."""
