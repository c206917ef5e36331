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
    const auto row = now_.rows.find(key);
    if (row == now_.rows.end()) return std::nullopt;
    return row->second;
}

Status TableStore::scan(std::string_view prefix, const Visitor& visit) const {
    for (auto row = now_.rows.lower_bound(prefix);
         row != now_.rows.end() && row->first.starts_with(prefix); ++row) {
        if (!visit(row->first, row->second)) break;
    }
    return {};
}

std::size_t TableStore::parts_of(std::string_view key) const {
    const auto row = now_.rows.find(key);
    return row == now_.rows.end() ? 0 : state_parts(row->second.size());
}

void TableStore::apply(Changes changes, Offset next, WallTime at) {
    now_.next = std::max(now_.next, next);
    now_.at = at;
    unsaved_ += changes.size();
    for (auto& [key, value] : changes) {
        if (value) {
            now_.rows[key] = std::move(*value);
        } else {
            now_.rows.erase(key);
        }
    }
}

std::vector<Outgoing> Changelog::encode(const Partition& input, const Changes& changes,
                                        const TableStore& store) const {
    const std::string topic = cluster_.full_name(state_topic(group_));
    const std::int32_t changelog = changelog_of(input).index;
    std::vector<Outgoing> records;
    for (const auto& [key, value] : changes) {
        auto row = encode_state({input, key, value, store.parts_of(key)}, topic, changelog);
        std::move(row.begin(), row.end(), std::back_inserter(records));
    }
    return records;
}

void Changelog::save(const Partition& input, TableStore& store) const {
    if (store.unsaved() == 0) return;
    checkpoints_->save(input, store.now());
    store.saved();
}

void Changelog::save_when_due(const Partition& input, TableStore& store) const {
    if (store.unsaved() >= std::max(kCheckpointChanges, store.now().rows.size()))
        save(input, store);
}

bool Changelog::usable(const Copy& copy, const Bus::Range& range) const {
    // Beyond the range: of a changelog that was deleted and created again.
    const WallTime now = cluster_.clock.wall();
    return copy.next >= range.begin && copy.next <= range.end && copy.at <= now &&
           copy.at + Checkpoints::kAgeMax >= now;
}

void Changelog::save(Copy copy) const {
    if (copy.read == 0) return;
    if (auto rows = std::move(copy.decoder).finish()) {
        checkpoints_->save(copy.input, {copy.next, copy.at, *std::move(rows)});
    }
}

Changelog::Copy Changelog::begin(const Partition& input, const Bus::Range& range) const {
    Copy copy{input, {}, range.begin, cluster_.clock.wall()};
    auto checkpoint = checkpoints_->load(input);
    if (!checkpoint) return copy;
    if (checkpoint->next < range.begin || checkpoint->next > range.end) {
        checkpoints_->unused("beyond");
        return copy;
    }
    copy.next = checkpoint->next;
    copy.at = checkpoint->at;
    copy.decoder.start_from(std::move(checkpoint->rows));
    return copy;
}

Result<Changelog::Tables> Changelog::restore(std::span<const Partition> inputs,
                                             Copies copies) const {
    std::map<Partition, std::vector<Partition>> by_changelog;
    for (const Partition& input : inputs) by_changelog[changelog_of(input)].push_back(input);
    Tables tables;
    for (const auto& [changelog, sharing] : by_changelog) {
        VIGIE_TRY_ASSIGN(const auto range, cluster_.range(changelog, Cluster::End::kWritten));
        Copies restoring;
        for (const Partition& input : sharing) {
            const std::string name = to_string(input);
            const auto copy = copies.find(name);
            const bool is_usable = copy != copies.end() && usable(copy->second, range);
            restoring[name] = is_usable ? std::move(copy->second) : begin(input, range);
        }
        VIGIE_TRY(catch_up_and_tell(changelog, range, restoring));
        for (const Partition& input : sharing) {
            Copy& restored = restoring.at(to_string(input));
            auto rows = std::move(restored.decoder).finish();
            if (!rows) {
                return fail(Error(rows.error())
                                .in(fmt::format("{} of group {}", to_string(input), group_)));
            }
            tables[input] = std::make_unique<TableStore>(
                Checkpoints::Checkpoint{range.end, restored.at, *std::move(rows)}, restored.read);
        }
    }
    return tables;
}

Status Changelog::catch_up_and_tell(const Partition& changelog, const Bus::Range& range,
                                    Copies& copies) const {
    const MetricLabels labels{{"group", group_}};
    Gauge& left = cluster_.metrics.gauge(metrics::kRestoreLeft, labels);
    const auto tell = [&](std::string_view event, Offset next) {
        left.set(static_cast<double>(std::max<Offset>(range.end - next, 0)));
        cluster_.log.info(event, {{"group", group_},
                                  {"changelog", to_string(changelog)},
                                  {"next", std::to_string(next)},
                                  {"end", std::to_string(range.end)}});
    };
    std::optional<SteadyTime> tell_at;  // None: nothing was said yet.
    VIGIE_TRY(catch_up(changelog, range, copies,
                       cluster_.metrics.counter(metrics::kRestored, labels), [&](Offset next) {
                           const SteadyTime now = cluster_.clock.steady();
                           if (tell_at && now < *tell_at) return true;
                           tell("restoring state", next);
                           tell_at = now + kProgressInterval;
                           return true;
                       }));
    if (tell_at) tell("state restored", range.end);
    return {};
}

Status Changelog::catch_up(const Partition& changelog, const Bus::Range& range, Copies& copies,
                           Counter& records, const GoOn& go_on) const {
    const WallTime began = cluster_.clock.wall();
    Offset at = range.end;
    for (const auto& [name, copy] : copies) at = std::min(at, copy.next);
    const Status done = read(changelog, range, copies, records, go_on, at);
    for (auto& [name, copy] : copies) {
        copy.next = std::max(copy.next, at);
        if (at >= range.end) copy.at = began;
    }
    return done;
}

// From `at` on, which it moves behind what the copies have.
Status Changelog::read(const Partition& changelog, const Bus::Range& range, Copies& copies,
                       Counter& records, const GoOn& go_on, Offset& at) const {
    if (at >= range.end) return {};
    VIGIE_TRY_ASSIGN(const auto reader, cluster_.lease_reader());
    VIGIE_TRY(reader->start(changelog, at));
    SteadyTime silent_until = cluster_.deadline();
    while (go_on(at)) {
        VIGIE_TRY_ASSIGN(const auto next, reader->next(kSlice));
        // Others may go on writing: what is beyond the range need not be waited for.
        if ((next.end && *next.end >= range.end) ||
            (next.record && next.record->offset >= range.end)) {
            at = range.end;
            return {};
        }
        if (next.record) {
            VIGIE_TRY(add(changelog, *next.record, copies));
            records.add();
            at = next.record->offset + 1;
            silent_until = cluster_.deadline();
        } else if (cluster_.over(silent_until)) {
            return fail(ErrorKind::kUnavailable,
                        fmt::format("restore {}: a transaction is under way, or no broker answers",
                                    to_string(changelog)));
        }
    }
    return {};
}

Status Changelog::add(const Partition& changelog, const rd_kafka_message_t& record,
                      Copies& copies) {
    const auto key =
        StateDecoder::parse_key({static_cast<const char*>(record.key), record.key_len});
    if (!key) {
        return fail(ErrorKind::kCorrupt,
                    fmt::format("{}@{}: not a row of state", to_string(changelog), record.offset));
    }
    const auto found = copies.find(key->input);
    if (found == copies.end() || record.offset < found->second.next) return {};
    std::optional<std::string_view> value;
    if (record.payload != nullptr) {
        value = {static_cast<const char*>(record.payload), record.len};
    }
    found->second.read += 1;
    return found->second.decoder.add(*key, value);
}

}  // namespace vigie::streams::kafka
