#include "streams/context.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/bytes.h"

namespace vigie::streams {

namespace {

constexpr char kUserRow = 'u';
constexpr char kTimerRow = 't';
constexpr char kEndRow = 'e';
constexpr std::string_view kWatermarkRow = "w";
constexpr std::string_view kSnapshotRow = "b";
constexpr char kFormat = 1;
constexpr std::size_t kKnownBytesMax = std::size_t{8} << 20U;
constexpr std::size_t kKnownRowBytes = 96;  // What a row takes beside its bytes, about.
constexpr char kSnapshotFormat = 2;         // 1 was the snapshot itself.

std::string row_of(char owner, std::string_view key) {
    std::string row(1, owner);
    row += key;
    return row;
}

std::string encode_time(EventTime at) {
    std::string bytes(1, kFormat);
    put_u64(bytes, static_cast<std::uint64_t>(micros_of(at)));
    return bytes;
}

Result<EventTime> decode_time(std::string_view row, std::string_view bytes) {
    if (bytes.size() != 9 || bytes[0] != kFormat) {
        return fail(ErrorKind::kCorrupt,
                    fmt::format("state row '{}' is not a time of format 1", row));
    }
    bytes.remove_prefix(1);
    return event_time_from_micros(static_cast<std::int64_t>(*take_u64(bytes)));
}

}  // namespace

Status StepContext::load() {
    VIGIE_TRY_ASSIGN(const auto watermark, store_.get(kWatermarkRow));
    if (watermark) {
        VIGIE_TRY_ASSIGN(watermark_, decode_time(kWatermarkRow, *watermark));
    }
    for (const char owner : {kTimerRow, kEndRow}) VIGIE_TRY(load_times(owner));
    return {};
}

Status StepContext::load_times(char owner) {
    Status status;
    VIGIE_TRY(store_.scan(std::string(1, owner), [&](std::string_view row, std::string_view v) {
        const auto at = decode_time(row, v);
        if (!at) {
            status = fail(at.error());
            return false;
        }
        place_timer(row, *at);
        return true;
    }));
    undo_timers_.clear();
    return status;
}

Result<std::optional<std::string>> StepContext::get(std::string_view key) const {
    const std::string row = row_of(kUserRow, key);
    if (const auto found = pending_.find(row); found != pending_.end()) return found->second;
    if (const auto found = known_.find(row); found != known_.end()) return found->second;
    VIGIE_TRY_ASSIGN(auto value, store_.get(row));
    remember(row, value);
    return value;
}

void StepContext::remember(const std::string& row, const std::optional<std::string>& value) const {
    const std::size_t bytes = row.size() + (value ? value->size() : 0) + kKnownRowBytes;
    if (bytes > kKnownBytesMax / 64) {
        known_.erase(row);
        return;
    }
    if (known_bytes_ + bytes > kKnownBytesMax) {
        known_.clear();
        known_bytes_ = 0;
    }
    known_bytes_ += bytes;  // An upper bound: what is replaced counts until the next clear().
    known_.insert_or_assign(row, value);
}

void StepContext::put(std::string_view key, std::string value) {
    if (ends_ != 0) cancel(row_of(kEndRow, key));
    change(row_of(kUserRow, key), std::move(value));
}

void StepContext::erase(std::string_view key) {
    if (ends_ != 0) cancel(row_of(kEndRow, key));
    change(row_of(kUserRow, key), std::nullopt);
}

void StepContext::put_until(std::string_view key, std::string value, EventTime until) {
    change(row_of(kUserRow, key), std::move(value));
    place_timer(row_of(kEndRow, key), until);
    change(row_of(kEndRow, key), encode_time(until));
}

Status StepContext::scan(std::string_view prefix, const Visitor& visit) const {
    const std::string rows = row_of(kUserRow, prefix);
    auto next = pending_.lower_bound(rows);
    const auto in_range = [&] { return next != pending_.end() && next->first.starts_with(rows); };
    bool more = true;
    const auto visit_next = [&] {
        if (next->second) more = visit(std::string_view(next->first).substr(1), *next->second);
        ++next;
        return more;
    };
    VIGIE_TRY(store_.scan(rows, [&](std::string_view row, std::string_view value) {
        while (in_range() && next->first < row) {
            if (!visit_next()) return false;
        }
        if (in_range() && next->first == row) return visit_next();
        more = visit(row.substr(1), value);
        return more;
    }));
    while (more && in_range()) visit_next();
    return {};
}

void StepContext::emit(Message message) {
    if (const std::size_t bytes = bytes_of(message); bytes > message_bytes_max_ && !refused_) {
        refused_ = Error{ErrorKind::kInvalid,
                         fmt::format("output to {} of {} bytes is above the limit of {}",
                                     message.topic, bytes, message_bytes_max_)};
        return;
    }
    outputs_.push_back(std::move(message));
}

void StepContext::set_timer(std::string_view name, EventTime at) {
    place_timer(row_of(kTimerRow, name), at);
    change(row_of(kTimerRow, name), encode_time(at));
}

void StepContext::cancel_timer(std::string_view name) {
    cancel(row_of(kTimerRow, name));
}

void StepContext::cancel(const std::string& row) {
    if (!timers_.contains(row)) return;
    place_timer(row, std::nullopt);
    change(row, std::nullopt);
}

void StepContext::begin() {
    undo_rows_.clear();
    undo_timers_.clear();
    outputs_before_ = outputs_.size();
    refused_.reset();
}

void StepContext::roll_back() {
    while (!undo_rows_.empty()) {
        auto& [row, before] = undo_rows_.back();
        if (before) {
            pending_[row] = std::move(*before);
        } else {
            pending_.erase(row);
        }
        undo_rows_.pop_back();
    }
    auto timers = std::exchange(undo_timers_, {});
    for (auto timer = timers.rbegin(); timer != timers.rend(); ++timer) {
        place_timer(timer->first, timer->second);
    }
    outputs_.resize(outputs_before_);
    begin();
}

bool StepContext::has_due() const {
    return !timers_by_time_.empty() && timers_by_time_.begin()->first <= watermark_;
}

std::optional<StepContext::Timer> StepContext::take_due() {
    if (!has_due()) return std::nullopt;
    const auto [at, row] = *timers_by_time_.begin();
    Timer due{row.substr(1), at, row.front() == kEndRow};
    cancel(row);
    if (due.is_end) change(row_of(kUserRow, due.name), std::nullopt);
    return due;
}

Changes StepContext::take_changes() {
    change(std::string(kWatermarkRow), encode_time(watermark_));
    undo_rows_.clear();
    bytes_pending_ = 0;
    for (const auto& [row, value] : pending_) {
        if (row.front() == kUserRow) remember(row, value);
    }
    return std::exchange(pending_, {});
}

Result<std::optional<std::string>> StepContext::load_snapshot() const {
    VIGIE_TRY_ASSIGN(auto stored, store_.get(kSnapshotRow));
    if (!stored) return std::nullopt;
    if (stored->empty() || stored->front() != kSnapshotFormat) {
        return fail(ErrorKind::kInvalid, "the stored snapshot has an unknown format");
    }
    stored->erase(0, 1);
    return stored;
}

void StepContext::save_snapshot(std::string_view reference) {
    std::string row(1, kSnapshotFormat);
    row += reference;
    change(std::string(kSnapshotRow), std::move(row));
}

Result<Changes> StepContext::erase_all(const Store& store) {
    Changes changes;
    VIGIE_TRY(store.scan({}, [&](std::string_view row, std::string_view) {
        changes.emplace(row, std::nullopt);
        return true;
    }));
    return changes;
}

void StepContext::change(std::string row, std::optional<std::string> value) {
    bytes_pending_ += row.size() + (value ? value->size() : 0);
    const auto [found, added] = pending_.try_emplace(row);
    Undo& undo = undo_rows_.emplace_back(std::move(row), std::nullopt);
    if (!added) undo.second.emplace(std::move(found->second));
    found->second = std::move(value);
}

void StepContext::place_timer(std::string_view row, std::optional<EventTime> at) {
    const auto found = timers_.find(row);
    std::optional<EventTime> before;
    const bool is_end = row.front() == kEndRow;
    if (found != timers_.end()) {
        before = found->second;
        timers_by_time_.erase({found->second, found->first});
        timers_.erase(found);
        if (is_end) --ends_;
    }
    undo_timers_.emplace_back(row, before);
    if (at) {
        timers_.emplace(row, *at);
        timers_by_time_.emplace(*at, std::string(row));
        if (is_end) ++ends_;
    }
}

}  // namespace vigie::streams
