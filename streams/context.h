#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "streams/processor.h"
#include "streams/store.h"

namespace vigie::streams {

// The Context of one partition: the store overlaid with the changes not yet committed, the
// outputs, the timers and the watermark. Work happens in units (one record or one timer); a
// unit that turns out invalid is rolled back alone and leaves no trace. Owned by one Task of a
// Worker; not thread-safe.
//
// Rows of the store begin with one byte that says whose they are, so a processor can neither
// see nor overwrite the worker's: 'u' + key is the processor's, 't' + name a timer, 'e' + key the
// end of a row, 'w' the watermark, 'b' which snapshot of bulk state counts. Worker rows start with
// a format version byte.
class StepContext final : public Context {
public:
    struct Timer {
        std::string name;
        EventTime at;
        bool is_end = false;  // Of a row, which is erased already: there is nothing to call.
    };

    // `store` must outlive the context. An output above `message_bytes_max` is refused.
    StepContext(const Store& store, std::size_t message_bytes_max)
        : store_(store), message_bytes_max_(message_bytes_max) {}

    // Reads timers and watermark. kCorrupt when a row has an unknown format.
    Status load();

    Result<std::optional<std::string>> get(std::string_view key) const override;
    void put(std::string_view key, std::string value) override;
    void erase(std::string_view key) override;
    Status scan(std::string_view prefix, const Visitor& visit) const override;
    void emit(Message message) override;
    void set_timer(std::string_view name, EventTime at) override;
    void cancel_timer(std::string_view name) override;
    void put_until(std::string_view key, std::string value, EventTime until) override;
    EventTime watermark() const override { return watermark_; }

    // Everything since begin() belongs to one unit.
    void begin();
    void roll_back();
    // Why the unit is invalid although the processor said it was not: an output too large.
    const std::optional<Error>& refused() const { return refused_; }

    void advance(EventTime watermark) { watermark_ = std::max(watermark_, watermark); }
    // The first timer or end of a row that is due, removed; in (time, name) order.
    std::optional<Timer> take_due();
    bool has_due() const;

    // What a step consists of. The changes include the watermark.
    Changes take_changes();
    std::vector<Message> take_outputs() { return std::exchange(outputs_, {}); }
    std::size_t changes_pending() const { return pending_.size(); }
    std::size_t bytes_pending() const { return bytes_pending_; }
    // Outputs of the worker itself: dead letters.
    void emit_unchecked(Message message) { outputs_.push_back(std::move(message)); }

    // The reference of the snapshot of bulk state (Consumer::save_bulk); nullopt when there is
    // none. kInvalid for a row of an unknown format.
    Result<std::optional<std::string>> load_snapshot() const;
    void save_snapshot(std::string_view reference);
    // Erases every row of the partition: state, timers, watermark, snapshot.
    static Result<Changes> erase_all(const Store& store);

private:
    using Undo = std::pair<std::string, std::optional<std::optional<std::string>>>;
    void change(std::string row, std::optional<std::string> value);
    void place_timer(std::string_view row, std::optional<EventTime> at);
    void cancel(const std::string& row);
    Status load_times(char owner);
    void remember(const std::string& row, const std::optional<std::string>& value) const;

    const Store& store_;
    const std::size_t message_bytes_max_;
    // What the store says of the processor's rows that were read or written lately. It stays true
    // because the owner of a partition writes alone, and a step that fails ends the owner.
    mutable std::unordered_map<std::string, std::optional<std::string>> known_;
    mutable std::size_t known_bytes_ = 0;
    Changes pending_;
    std::size_t bytes_pending_ = 0;  // Written since the last commit; an upper bound.
    std::vector<Message> outputs_;
    // By the names of their rows.
    std::map<std::string, EventTime, std::less<>> timers_;
    std::set<std::pair<EventTime, std::string>> timers_by_time_;
    std::size_t ends_ = 0;  // Of the timers, those that end rows.
    EventTime watermark_;

    // How to take the current unit back.
    std::vector<Undo> undo_rows_;
    std::vector<std::pair<std::string, std::optional<EventTime>>> undo_timers_;
    std::size_t outputs_before_ = 0;
    std::optional<Error> refused_;
};

}  // namespace vigie::streams
