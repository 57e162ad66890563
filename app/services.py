"""Everything a process of ours works with, opened once and handed on."""

from dataclasses import dataclass

from app.address_guard import AddressGuard
from app.brokers import open_broker
from app.database import connect
from app.events import Publisher
from app.queue import Broker
from app.rate_limits import RateLimits, open_rate_limits
from app.recording import Recorder
from app.registry import Registry
from app.transport import Transport
from app.vault import Vault, open_vault
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that views, workers and commands share."""

    settings: Settings
    vault: Vault
    registry: Registry
    broker: Broker
    publisher: Publisher
    recorder: Recorder
    limits: RateLimits
    transport: Transport

    def close(self) -> None:
        """Stop what runs in threads of its own."""
        self.transport.stop()
        self.broker.close()


def open_services(settings: Settings) -> Services:
    """Open the database, the keys and the queue that `settings` name. Raises OperatorError where one can't be."""
    vault = open_vault(settings.secret_key, settings.data_dir)
    connect(settings.database_url)
    registry = Registry(vault)
    broker = open_broker(settings)
    return Services(
        settings=settings,
        vault=vault,
        registry=registry,
        broker=broker,
        publisher=Publisher(registry, broker, settings),
        recorder=Recorder(registry, settings),
        limits=open_rate_limits(broker),
        transport=Transport(
            AddressGuard(settings.allow_networks),
            capacity=settings.max_in_flight,
            ca_bundle=settings.ca_bundle,
            proxy=settings.outbound_proxy,
        ),
    )
