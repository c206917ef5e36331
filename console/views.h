#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "console/follower.h"
#include "core/id.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "schemas/events.h"
#include "streams/bus.h"

namespace vigie::console {

using IncidentPtr = std::shared_ptr<const schemas::Incident>;

struct AuditEntry {
    schemas::EventMeta meta;
    schemas::Audit audit;
};
using AuditPtr = std::shared_ptr<const AuditEntry>;

// What the console knows at one moment; never changes once published.
struct View {
    std::map<std::string, IncidentPtr, std::less<>> incidents;  // By id
    std::deque<AuditPtr> audit;                                 // In the order of the log
    bool caught_up = false;  // The end of both topics was reached at least once.

    IncidentPtr find(std::string_view id) const;    // nullptr when it is not known
    std::vector<IncidentPtr> newest_first() const;  // By opening time, then id
};

// The read models of the console: follows vigie.incidents from its beginning and vigie.audit
// from its last `audit_max` entries on, without a group and without leaving a trace. When it is
// full it forgets the resolved incident that changed longest ago, then the open one that did.
class Views {
public:
    struct Options {
        std::size_t incidents_max = 1000;
        std::size_t audit_max = 20'000;
    };

    // `bus`, `metrics` and `log` must outlive it.
    Views(Options options, const streams::Bus& bus, MetricsRegistry& metrics, Log& log);

    // Called from step() with the incidents that changed, once each in their last form, after
    // the view that has them is published; not before the view has caught up. Set it before the
    // first step.
    using OnChange = std::function<void(std::span<const IncidentPtr>)>;
    void on_change(OnChange callback) { on_change_ = std::move(callback); }

    // Reads what is new, waiting at most `limits.wait_max` when there is nothing, and publishes.
    // Owned by one thread. Returns how many records were read. An error is the bus's own; call
    // again later, nothing is lost.
    Result<std::size_t> step(const streams::PollLimits& limits);

    // The last published view, never nullptr. Safe to call from any thread.
    std::shared_ptr<const View> view() const;

private:
    void apply(const streams::Record& record);
    void evict();
    void publish();

    const Options options_;
    MetricsRegistry& metrics_;
    Log& log_;
    OnChange on_change_;
    // Owned by the thread that calls step().
    Follower follower_;
    View next_;           // Holds everything that was read, also when a later read failed.
    bool dirty_ = false;  // next_ has something that is not published.
    std::map<std::string, IncidentPtr, std::less<>> changed_;
    mutable std::mutex mutex_;  // Protects everything below.
    std::shared_ptr<const View> published_;
};

}  // namespace vigie::console
