"""The WebSockets that tell what is shown: the page's, and the seed's."""
