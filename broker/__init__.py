"""A real Apache Kafka of one node, from its Maven artefacts: for tests and for `make kafka`."""
