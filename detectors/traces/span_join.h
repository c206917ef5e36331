#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/time.h"
#include "detectors/codec.h"
#include "schemas/telemetry.h"

// What only several spans of a trace together tell: how long a service worked itself, and how long
// a call was on its way.
namespace vigie::detectors {

using Interval = std::pair<EventTime, EventTime>;

// `whole` without the union of `parts`, which may overlap and stick out: the time that a span did
// not wait for its children. (As "self time" in profilers, and in Jaeger's trace statistics.)
EventClock::duration self_time(Interval whole, std::vector<Interval> parts);

// A span as it is remembered until its parent and its children are here.
struct JoinSpan {
    std::uint64_t id = 0;      // Hash of trace and span id.
    std::uint64_t parent = 0;  // Of trace and parent id; 0: a root.
    std::uint32_t service = 0;
    std::uint64_t place = 0;  // Hash of what says on which machine it ran.
    schemas::SpanKind kind{};
    EventTime start;
    EventTime end;
    bool error = false;
    std::uint64_t callee = 0;  // Hash of what a client span says it calls; 0: it does not say.
    bool met = false;          // Its parent was here at some time.
    std::string operation;     // Of server and consumer spans.
    std::string trace;
};

// Puts spans together, in any order. Spans are kept by the window in which they end; when a window
// is closed its spans are joined with all that came by then, and `parent_wait` later they go. A
// span whose parent did not come by then is counted as incomplete.
class SpanJoin {
public:
    struct Limits {
        std::chrono::milliseconds window;
        std::chrono::milliseconds parent_wait;
        std::size_t spans_max;
        std::size_t places_max;
    };
    explicit SpanJoin(Limits limits) : limits_(limits) {}

    struct Joined {
        // A server or consumer span: its time without that of what it called. Its own internal
        // spans are its own work; what counts is what they called.
        std::function<void(const JoinSpan& span, double seconds, bool has_waited)> self;
        // From the start of a client span to that of the server span that is its child, the
        // difference of the two clocks taken off.
        std::function<void(const JoinSpan& client, const JoinSpan& server, double seconds)> delay;
        // A span of another service below this one.
        std::function<void(const JoinSpan& caller, const JoinSpan& callee)> call;
    };

    // `window` is where the window of the span's end begins. False when it is full.
    bool add(EventTime window, JoinSpan span);
    void close(EventTime window, const Joined& joined);

    std::size_t size() const { return size_; }
    std::uint64_t incomplete() const { return incomplete_; }

    void save(Encoder& out) const;
    void load(Decoder& in);
    bool numbers_below(std::size_t services) const;  // Whether what was loaded makes sense.

private:
    // How far the clock of a callee's machine is ahead of that of its caller's: by the call that
    // was shortest on its way, whose two ways are taken as equally long (Mills, RFC 5905, clock
    // filter). The best of this span of time and of the one before.
    struct Skew {
        std::int64_t epoch = 0;
        std::int64_t on_the_way = -1;  // Microseconds there and back; -1: none yet.
        std::int64_t ahead = 0;
        std::int64_t on_the_way_before = -1;
        std::int64_t ahead_before = 0;
    };
    struct Call {
        std::uint64_t pair;
        std::int64_t there;       // Server's start minus client's, by two clocks.
        std::int64_t on_the_way;  // There and back: the client's duration minus the server's.
    };

    static std::vector<const JoinSpan*> sorted(std::vector<const JoinSpan*> spans);
    std::vector<const JoinSpan*> children_of(const JoinSpan& span) const;  // Sorted.
    static bool is_call(const JoinSpan& client, const JoinSpan& server);
    static Call call_of(const JoinSpan& client, const JoinSpan& server);
    void collect_waits(const JoinSpan& span, int depth, std::vector<Interval>& out) const;
    void learn_skew(std::int64_t epoch, const Call& call);
    double delay_of(const Call& call) const;
    void expire(EventTime window);
    void forget_skews(std::int64_t epoch);

    // Constant after construction.
    Limits limits_;

    std::uint64_t incomplete_ = 0;
    // Saved.
    std::map<EventTime, std::deque<JoinSpan>> spans_;
    std::map<std::uint64_t, Skew> skews_;
    // Rebuilt from `spans_`, which they point into.
    std::size_t size_ = 0;
    std::unordered_set<std::uint64_t> ids_;
    std::unordered_map<std::uint64_t, std::vector<JoinSpan*>> children_;
};

}  // namespace vigie::detectors
