#include "streams/kafka/changelog.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "streams/kafka/metrics.h"
#include "streams/kafka/reader.h"

namespace vigie::streams::kafka {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSlice{100};
constexpr std::chrono::seconds kProgressInterval{5};
// A checkpoint costs as much as its rows: it is due after so many changes, or as many as there are
// rows, whichever is more.
constexpr std::size_t kCheckpointChanges = 1000;

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

void TableStore::apply(Changes changes, Offset next) {
    next_ = std::max(next_, next);
    unsaved_ += changes.size();
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

void Changelog::save(const Partition& input, TableStore& store) const {
    if (store.unsaved() == 0) return;
    checkpoints_->save(input, store.next(), store.rows());
    store.saved();
}

void Changelog::save_when_due(const Partition& input, TableStore& store) const {
    if (store.unsaved() >= std::max(kCheckpointChanges, store.rows().size())) save(input, store);
}

Result<Changelog::Tables> Changelog::restore(std::span<const Partition> inputs) const {
    std::map<std::int32_t, std::vector<Partition>> by_partition;
    for (const Partition& input : inputs) by_partition[partition_of(input)].push_back(input);
    Tables tables;
    for (const auto& [partition, sharing] : by_partition) {
        const Partition changelog{state_topic(group_), partition};
        VIGIE_TRY_ASSIGN(const auto range, cluster_.range(changelog, Cluster::End::kWritten));
        Inputs restoring;
        for (const Partition& input : sharing) start(input, range, restoring[to_string(input)]);
        VIGIE_TRY(read(changelog, range, restoring));
        for (const Partition& input : sharing) {
            Restoring& restored = restoring.at(to_string(input));
            auto rows = std::move(restored.decoder).finish();
            if (!rows) {
                return fail(Error(rows.error())
                                .in(fmt::format("{} of group {}", to_string(input), group_)));
            }
            tables[input] =
                std::make_unique<TableStore>(*std::move(rows), range.end, restored.read);
        }
    }
    return tables;
}

// With what the checkpoint has, or with nothing.
void Changelog::start(const Partition& input, const Bus::Range& range, Restoring& restoring) const {
    restoring.next = range.begin;
    auto checkpoint = checkpoints_->load(input);
    if (!checkpoint) return;
    // Of a changelog that was deleted and created again.
    if (checkpoint->next < range.begin || checkpoint->next > range.end) {
        checkpoints_->unused("beyond");
        return;
    }
    restoring.next = checkpoint->next;
    restoring.decoder.start_from(std::move(checkpoint->rows));
}

Status Changelog::read(const Partition& changelog, const Bus::Range& range, Inputs& inputs) const {
    Offset from = range.end;
    for (const auto& [name, input] : inputs) from = std::min(from, input.next);
    if (from >= range.end) return {};
    const MetricLabels labels{{"group", group_}};
    Counter& restored = cluster_.metrics.counter(metrics::kRestored, labels);
    Gauge& left = cluster_.metrics.gauge(metrics::kRestoreLeft, labels);
    VIGIE_TRY_ASSIGN(const auto reader, cluster_.lease_reader());
    VIGIE_TRY(reader->start(changelog, from));
    const auto tell = [&](std::string_view event, Offset next) {
        left.set(static_cast<double>(std::max<Offset>(range.end - next, 0)));
        cluster_.log.info(event, {{"group", group_},
                                  {"changelog", to_string(changelog)},
                                  {"next", std::to_string(next)},
                                  {"end", std::to_string(range.end)}});
    };
    tell("restoring state", from);
    SteadyTime silent_until = cluster_.deadline();
    SteadyTime tell_at = cluster_.clock.steady() + kProgressInterval;
    while (true) {
        VIGIE_TRY_ASSIGN(const auto next, reader->next(kSlice));
        if (next.end && *next.end >= range.end) break;
        if (!next.record) {
            if (!cluster_.over(silent_until)) continue;
            return fail(ErrorKind::kUnavailable,
                        fmt::format("restore {}: a transaction is under way, or no broker answers",
                                    to_string(changelog)));
        }
        const rd_kafka_message_t& record = *next.record;
        silent_until = cluster_.deadline();
        restored.add();
        const auto key =
            StateDecoder::parse_key({static_cast<const char*>(record.key), record.key_len});
        if (!key) {
            return fail(ErrorKind::kCorrupt, fmt::format("{}@{}: not a row of state",
                                                         to_string(changelog), record.offset));
        }
        const auto input = inputs.find(key->input);
        if (input != inputs.end() && record.offset >= input->second.next) {
            std::optional<std::string_view> value;
            if (record.payload != nullptr) {
                value = {static_cast<const char*>(record.payload), record.len};
            }
            VIGIE_TRY(input->second.decoder.add(*key, value));
            input->second.read += 1;
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
