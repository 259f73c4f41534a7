"""The ward on the network: REST, WebSockets, who may see it, the console's files. Reads the store only."""
