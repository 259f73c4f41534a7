"""The ward of a hospital: Apache Kafka as the log, Faust as the engine."""
