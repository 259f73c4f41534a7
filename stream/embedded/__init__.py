"""The engine of one machine: the topics are Streams in a Valkey server that is the cache as well."""
