"""The API server: credentials, requests, watches, server-side apply, Events and the Lease."""
