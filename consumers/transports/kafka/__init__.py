"""The log on Kafka: many machines; groups spread the shards, transactions give exactly-once."""

from consumers.transports.kafka.log import KafkaLog
from consumers.transports.kafka.transport import KafkaTransport

__all__ = ["KafkaLog", "KafkaTransport"]
