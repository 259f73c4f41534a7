"""Settings: of a running demo, ``.env``, environment (``WARDBEAT_…``), and flags, in growing order of weight."""

import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from alarms.limits import Limits
from models.network.weights import WeightsError
from models.rhythm_network import Device, DeviceError, RhythmNetwork
from stream.bed import BedConfig
from stream.kafka.config import KafkaConfig

Engine = Literal["embedded", "kafka"]

# While a demo runs here, `wardbeat replay` and `wardbeat watch` find it by this file; it goes with the demo.
DEMO_ENV = Path(".wardbeat") / "demo.env"


class SettingsError(ValueError):
    """A setting has a value that it cannot have; the text names it."""


class Settings(BaseSettings):
    """All that can be set. A wrong value is refused by name."""

    model_config = SettingsConfigDict(
        env_prefix="WARDBEAT_", env_file=(DEMO_ENV, ".env"), extra="ignore", validate_default=True
    )

    engine: Engine = Field("embedded", description="what carries the chunks")
    kafka: str = Field("localhost:9092", description="bootstrap servers of Apache Kafka, comma separated")
    partitions: Annotated[int, Field(ge=1, le=1024)] = 8
    replication: Annotated[int, Field(ge=1, le=5)] = 1
    redis: str = Field("redis://localhost:6379/0", description="address of Redis or Valkey")
    prefix: str = Field("wardbeat:", description="of all keys in Redis")
    worker: str = Field(default_factory=lambda: socket.gethostname(), description="this worker's name")
    static_member: bool = Field(False, description="back sooner after a crash; see KafkaConfig")
    session_timeout_s: Annotated[float, Field(ge=6, le=60)] = 6.0
    data_dir: Path = Field(Path(".wardbeat"), description="where the parts that wardbeat starts keep their files")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    secret: str = Field("", description="signs the tokens: at least 32 characters")
    metrics_open: bool = Field(False, description="/metrics without a token")
    weights: Path | None = Field(None, description="file of the network; the shipped one where not set")
    device: Device = Field("cpu", description="what the network runs on; cuda needs torch and a GPU")
    hop_s: float = 1.0
    reorder_s: Annotated[float, Field(ge=0.2, le=10)] = 2.0
    hr_low: int = 50
    hr_high: int = 120
    hr_extreme_low: int = 30
    hr_extreme_high: int = 160
    asystole_s: float = 4.0
    pause_s: float = 3.0
    af_confirm_s: float = Field(30.0, description="that AF must have lasted before its alarm is confirmed: 30 to 60")

    @field_validator("hop_s")
    @classmethod
    def _hop(cls, value: float) -> float:
        if not 0.5 <= value <= 5 or abs(value * 10 - round(value * 10)) > 1e-9:
            raise ValueError(f"expected 0.5 to 5 s in steps of 0.1, got {value!r}")
        return value

    def limits(self) -> Limits:
        """The alarm limits. Raises SettingsError naming the one that cannot be."""
        try:
            return Limits(
                hr_low=self.hr_low,
                hr_high=self.hr_high,
                hr_extreme_low=self.hr_extreme_low,
                hr_extreme_high=self.hr_extreme_high,
                asystole_s=self.asystole_s,
                pause_s=self.pause_s,
                af_confirm_s=self.af_confirm_s,
            )
        except ValueError as error:
            raise SettingsError(str(error)) from None

    def kafka_config(self) -> KafkaConfig:
        """What the Kafka engine must be told."""
        return KafkaConfig(
            bootstrap=self.kafka,
            redis=self.redis,
            prefix=self.prefix,
            worker=self.worker,
            partitions=self.partitions,
            replication=self.replication,
            static_member=self.static_member,
            session_timeout_s=self.session_timeout_s,
            data_dir=self.data_dir,
        )

    def beds(self, *, waves: bool = True) -> BedConfig:
        """How beds are watched. Raises SettingsError where the network cannot be loaded, or not run on the device."""
        try:
            network = RhythmNetwork.load(self.weights, self.device)
        except (WeightsError, DeviceError) as error:
            raise SettingsError(str(error)) from None
        return BedConfig(hop_s=self.hop_s, reorder_s=self.reorder_s, limits=self.limits(), waves=waves, network=network)


def load_settings(**flags: object) -> Settings:
    """The settings with the flags that were given (not None) on top.

    Raises:
        SettingsError: names each wrong setting and quotes its value.
    """
    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}, got {item.get('input')!r}" for item in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from None
    settings.limits()
    return settings
