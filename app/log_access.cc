#include "app/log_access.h"

#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "app/config.h"
#include "app/pipeline.h"
#include "streams/rocks/rocks_bus.h"

namespace vigie::app {

namespace {

constexpr std::size_t kBatch = 500;

}  // namespace

Result<std::unique_ptr<LogAccess>> LogAccess::open(const LogPlace& place, Intent intent) {
    std::unique_ptr<LogAccess> access(new LogAccess);
    if (place.config.empty()) {
        VIGIE_TRY(access->open_folder(place.data, intent));
        return access;
    }
    auto config = load_config(place.config);
    if (!config) {
        return fail(ErrorKind::kInvalid, fmt::format("{}", fmt::join(config.error().lines, "\n")));
    }
    VIGIE_TRY(config->kafka ? access->open_kafka(*std::move(config->kafka))
                            : access->open_folder(config->data, intent));
    return access;
}

Status LogAccess::open_folder(const std::string& data, Intent intent) {
    streams::rocks::RocksBus::Options options;
    options.path = data + "/bus";
    options.retain = false;  // Who looks, or moves it, does not age it.
    options.read_only = intent == Intent::kLook;
    std::error_code error;
    if (!std::filesystem::is_directory(options.path, error)) {
        return fail(
            ErrorKind::kNotFound,
            fmt::format("there is no log in '{}': name Vigie's data folder with --data", data));
    }
    VIGIE_TRY_ASSIGN(bus_, streams::rocks::RocksBus::open(options, clock_, metrics_));
    return {};
}

Status LogAccess::open_kafka(streams::kafka::KafkaBus::Options options) {
    // Two members of one name would throw each other out.
    options.instance.clear();
    options.standby = false;
    VIGIE_TRY_ASSIGN(auto bus,
                     streams::kafka::KafkaBus::open(std::move(options), clock_, metrics_, *log_));
    kafka_ = bus.get();
    bus_ = std::move(bus);
    return {};
}

Result<std::size_t> LogAccess::group_members(std::string_view group) const {
    return kafka_ == nullptr ? Result<std::size_t>(0) : kafka_->group_members(group);
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
