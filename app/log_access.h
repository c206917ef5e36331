#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/metrics.h"
#include "core/result.h"
#include "core/system_clock.h"
#include "streams/bus.h"

// What the commands on a log share.
namespace vigie::app {

// The log of a data folder. Not copyable, not movable: the bus uses what stands before it.
class LogAccess {
public:
    enum class Intent : std::uint8_t { kLook, kChange };

    // kNotFound when there is no log in `data`, kConflict when it is to change and another
    // process uses it, else what the bus says.
    static Result<std::unique_ptr<LogAccess>> open(const std::string& data, Intent intent);

    streams::Bus& bus() { return *bus_; }

private:
    LogAccess() = default;

    SystemClock clock_;
    MetricsRegistry metrics_;
    std::unique_ptr<streams::Bus> bus_;
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
