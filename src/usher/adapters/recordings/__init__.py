"""Where the bytes of recordings are kept: on disk, or in storage that speaks S3."""
