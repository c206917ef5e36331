#include "streams/kafka/changelog.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "streams/kafka/metrics.h"
#include "streams/kafka/reader.h"

namespace vigie::streams::kafka {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSlice{100};
constexpr std::chrono::seconds kProgressInterval{5};

}  // namespace

Result<std::optional<std::string>> TableStore::get(std::string_view key) const {
    const auto row = rows_.find(key);
    if (row == rows_.end()) return std::nullopt;
    return row->second;
}

Status TableStore::scan(std::string_view prefix, const Visitor& visit) const {
    for (auto row = rows_.lower_bound(prefix); row != rows_.end() && row->first.starts_with(prefix);
         ++row) {
        if (!visit(row->first, row->second)) break;
    }
    return {};
}

std::size_t TableStore::parts_of(std::string_view key) const {
    const auto row = rows_.find(key);
    return row == rows_.end() ? 0 : state_parts(row->second.size());
}

void TableStore::apply(Changes changes) {
    for (auto& [key, value] : changes) {
        if (value) {
            rows_[key] = std::move(*value);
        } else {
            rows_.erase(key);
        }
    }
}

std::vector<Outgoing> Changelog::encode(const Partition& input, const Changes& changes,
                                        const TableStore& store) const {
    const std::string topic = cluster_.full_name(state_topic(group_));
    std::vector<Outgoing> records;
    for (const auto& [key, value] : changes) {
        auto row =
            encode_state({input, key, value, store.parts_of(key)}, topic, partition_of(input));
        std::move(row.begin(), row.end(), std::back_inserter(records));
    }
    return records;
}

Result<Changelog::Tables> Changelog::restore(std::span<const Partition> inputs) const {
    Decoders decoders;
    std::set<std::int32_t> partitions;
    for (const Partition& input : inputs) {
        decoders.try_emplace(to_string(input));
        partitions.insert(partition_of(input));
    }
    for (const std::int32_t partition : partitions) VIGIE_TRY(read(partition, decoders));
    Tables tables;
    for (const Partition& input : inputs) {
        auto rows = std::move(decoders.at(to_string(input))).finish();
        if (!rows)
            return fail(
                Error(rows.error()).in(fmt::format("{} of group {}", to_string(input), group_)));
        tables[input] = std::make_unique<TableStore>(*std::move(rows));
    }
    return tables;
}

Status Changelog::read(std::int32_t partition, Decoders& decoders) const {
    const Partition where{state_topic(group_), partition};
    VIGIE_TRY_ASSIGN(const auto range, cluster_.range(where, Cluster::End::kWritten));
    if (range.begin >= range.end) return {};
    const MetricLabels labels{{"group", group_}};
    Counter& restored = cluster_.metrics.counter(metrics::kRestored, labels);
    Gauge& left = cluster_.metrics.gauge(metrics::kRestoreLeft, labels);
    VIGIE_TRY_ASSIGN(const auto reader, cluster_.lease_reader());
    VIGIE_TRY(reader->start(where, range.begin));
    const auto tell = [&](std::string_view event, Offset next) {
        left.set(static_cast<double>(std::max<Offset>(range.end - next, 0)));
        cluster_.log.info(event, {{"group", group_},
                                  {"changelog", to_string(where)},
                                  {"next", std::to_string(next)},
                                  {"end", std::to_string(range.end)}});
    };
    tell("restoring state", range.begin);
    SteadyTime silent_until = cluster_.deadline();
    SteadyTime tell_at = cluster_.clock.steady() + kProgressInterval;
    while (true) {
        VIGIE_TRY_ASSIGN(const auto next, reader->next(kSlice));
        if (next.end && *next.end >= range.end) break;
        if (!next.record) {
            if (!cluster_.over(silent_until)) continue;
            return fail(ErrorKind::kUnavailable,
                        fmt::format("restore {}: a transaction is under way, or no broker answers",
                                    to_string(where)));
        }
        const rd_kafka_message_t& record = *next.record;
        silent_until = cluster_.deadline();
        restored.add();
        const auto key =
            StateDecoder::parse_key({static_cast<const char*>(record.key), record.key_len});
        if (!key) {
            return fail(ErrorKind::kCorrupt,
                        fmt::format("{}@{}: not a row of state", to_string(where), record.offset));
        }
        const auto decoder = decoders.find(key->input);
        if (decoder != decoders.end()) {
            std::optional<std::string_view> value;
            if (record.payload != nullptr) {
                value = {static_cast<const char*>(record.payload), record.len};
            }
            VIGIE_TRY(decoder->second.add(*key, value));
        }
        if (cluster_.clock.steady() >= tell_at) {
            tell("restoring state", record.offset + 1);
            tell_at = cluster_.clock.steady() + kProgressInterval;
        }
    }
    tell("state restored", range.end);
    return {};
}

}  // namespace vigie::streams::kafka
