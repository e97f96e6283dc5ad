"""Orders over HTTP: read strictly, judged against what is known, answered once Kafka has them."""
