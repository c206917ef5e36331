#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/system_clock.h"
#include "streams/bus.h"
#include "streams/kafka/kafka_bus.h"

// What the commands on a log share.
namespace vigie::app {

// Where an installation has its log: in `data`, or where the configuration file says, which may
// be on Kafka.
struct LogPlace {
    std::string data = "data";
    std::string config;  // "": `data` counts
};

// The log of an installation. Not copyable, not movable: the bus uses what stands before it.
class LogAccess {
public:
    enum class Intent : std::uint8_t { kLook, kChange };

    // kInvalid with what the configuration complains of, kNotFound when there is no log in the
    // folder, kConflict when it is to change and another process uses it, else what the bus says.
    static Result<std::unique_ptr<LogAccess>> open(const LogPlace& place, Intent intent);

    streams::Bus& bus() { return *bus_; }

    // How many members a stage's group has in other processes. Nobody but us has a folder's log.
    Result<std::size_t> group_members(std::string_view group) const;

private:
    LogAccess() = default;
    Status open_folder(const std::string& data, Intent intent);
    Status open_kafka(streams::kafka::KafkaBus::Options options);

    const std::unique_ptr<Log> log_ = make_stderr_log(LogLevel::kError);
    SystemClock clock_;
    MetricsRegistry metrics_;
    std::unique_ptr<streams::Bus> bus_;
    const streams::kafka::KafkaBus* kafka_ = nullptr;  // The same bus, if it is one.
};

// A stage that reads a topic, by its group.
struct Reader {
    std::string group;
    std::vector<std::string> topics;
};
std::vector<Reader> readers();

// Calls `visit` for each record of a partition from `from` on until it says false.
Status for_each_record(const streams::Bus& bus, const streams::Partition& partition,
                       streams::Offset from,
                       const std::function<Result<bool>(const streams::Record&)>& visit);

}  // namespace vigie::app
