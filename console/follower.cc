#include "console/follower.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "console/metrics.h"
#include "schemas/topics.h"

namespace vigie::console {

namespace topics = schemas::topics;

bool is_tick(const streams::Message& message) {
    return std::any_of(message.headers.begin(), message.headers.end(), [](const auto& header) {
        return header.first == topics::kHeaderKind && header.second == topics::kKindTick;
    });
}

Status Follower::find_sources() {
    std::vector<Source> sources;
    for (const auto& topic : topics_) {
        VIGIE_TRY_ASSIGN(const auto partitions, bus_.partition_count(topic.name));
        for (std::int32_t i = 0; i < partitions; ++i) {
            const streams::Partition partition{topic.name, i};
            streams::Offset from = 0;
            if (topic.records_max > 0) {
                // Years may be kept, and what is older would be forgotten again at once.
                VIGIE_TRY_ASSIGN(const auto range, bus_.range(partition));
                from = std::max(range.begin, range.end - topic.records_max);
            }
            sources.push_back({partition, from});
        }
    }
    sources_ = std::move(sources);
    return {};
}

Result<std::size_t> Follower::read(const streams::PollLimits& limits, const Apply& apply) {
    if (sources_.empty()) VIGIE_TRY(find_sources());
    std::size_t records = 0;
    for (auto& source : sources_) {
        VIGIE_TRY_ASSIGN(
            const auto n,
            read_one(source, {limits.records_max, std::chrono::milliseconds{0}}, apply));
        records += n;
    }
    if (records > 0 || limits.wait_max.count() == 0) return records;
    return read_one(sources_.front(), limits, apply);
}

Status Follower::read_to_end(std::size_t records_per_read, const Apply& apply) {
    if (sources_.empty()) VIGIE_TRY(find_sources());
    for (auto& source : sources_) {
        VIGIE_TRY_ASSIGN(const auto range, bus_.range(source.partition));
        while (source.next < range.end) {
            VIGIE_TRY_ASSIGN(
                const auto records,
                read_one(source, {records_per_read, std::chrono::milliseconds{0}}, apply));
            if (records == 0) source.next = range.end;  // There are holes only.
        }
    }
    return {};
}

Result<std::size_t> Follower::read_one(Source& source, const streams::PollLimits& limits,
                                       const Apply& apply) {
    auto records = bus_.read(source.partition, source.next, limits);
    if (!records) {
        metrics_.counter(metrics::kReadsFailed, {{"topic", source.partition.topic}}).add();
        return fail(std::move(records).error().in("read " + streams::to_string(source.partition)));
    }
    for (const auto& record : *records) {
        if (!is_tick(record.message)) apply(record);
        source.next = record.offset + 1;
    }
    metrics_.counter(metrics::kRecords, {{"topic", source.partition.topic}}).add(records->size());
    return records->size();
}

Result<bool> Follower::at_end() const {
    for (const auto& source : sources_) {
        VIGIE_TRY_ASSIGN(const auto range, bus_.range(source.partition));
        // What retention took away is not waited for.
        const auto next = std::max(source.next, range.begin);
        if (next >= range.end) continue;
        // There may be holes only.
        VIGIE_TRY_ASSIGN(const auto rest,
                         bus_.read(source.partition, next, {1, std::chrono::milliseconds{0}}));
        if (!rest.empty()) return false;
    }
    return true;
}

}  // namespace vigie::console
