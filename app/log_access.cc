#include "app/log_access.h"

#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "app/pipeline.h"
#include "streams/rocks/rocks_bus.h"

namespace vigie::app {

namespace {

constexpr std::size_t kBatch = 500;

}  // namespace

Result<std::unique_ptr<LogAccess>> LogAccess::open(const std::string& data, Intent intent) {
    streams::rocks::RocksBus::Options options;
    options.path = data + "/bus";
    options.read_only = intent == Intent::kLook;
    std::error_code error;
    if (!std::filesystem::is_directory(options.path, error)) {
        return fail(
            ErrorKind::kNotFound,
            fmt::format("there is no log in '{}': name Vigie's data folder with --data", data));
    }
    std::unique_ptr<LogAccess> access(new LogAccess);
    VIGIE_TRY_ASSIGN(access->bus_,
                     streams::rocks::RocksBus::open(options, access->clock_, access->metrics_));
    return access;
}

std::vector<Reader> readers() {
    MetricsRegistry metrics;
    const SystemClock clock;
    std::vector<Reader> all;
    for (auto& stage : make_stages(Pipeline{}, metrics, clock)) {
        all.push_back({stage.subscription.group, std::move(stage.subscription.topics)});
    }
    return all;
}

Status for_each_record(const streams::Bus& bus, const streams::Partition& partition,
                       streams::Offset from,
                       const std::function<Result<bool>(const streams::Record&)>& visit) {
    VIGIE_TRY_ASSIGN(const auto range, bus.range(partition));
    for (streams::Offset next = std::max(from, range.begin); next < range.end;) {
        VIGIE_TRY_ASSIGN(const auto records,
                         bus.read(partition, next, {kBatch, std::chrono::milliseconds{0}}));
        if (records.empty()) return {};
        for (const streams::Record& record : records) {
            VIGIE_TRY_ASSIGN(const bool go_on, visit(record));
            if (!go_on) return {};
        }
        next = records.back().offset + 1;
    }
    return {};
}

}  // namespace vigie::app
