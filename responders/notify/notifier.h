#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/rng.h"
#include "core/state.h"
#include "core/time.h"
#include "responders/notify/channel.h"
#include "responders/notify/routes.h"
#include "schemas/incident.h"

namespace vigie::notify {

// Tells people what the incidents say, at least once, for one partition of vigie.incidents. A
// notice is a row in the state until every channel it goes to took it or refused it for good.
// Notices of one incident go out in order on each channel. When a channel refuses a page or an
// approval, does not answer several times, or asks for a long pause, another one is tried: a page
// is never lost while any channel works. When none does, it is an error at once, and all are asked
// again until it is given up. Not thread-safe: the partition's worker owns it; after a failed step
// it is thrown away and made anew, and what was on its way is sent again.
class Notifier {
public:
    struct Options {
        // When full, updates are dropped to make room; a page that finds no room is an error.
        std::size_t rows_max = 10'000;
        std::size_t in_flight_max = 16;
        std::chrono::milliseconds retry_wait_min{5'000};  // Doubles with each try, with jitter
        std::chrono::milliseconds retry_wait_max{300'000};
        std::chrono::seconds give_up_after{std::chrono::hours{24}};
        int fallback_attempts = 3;  // Failed tries after which another channel is tried too
        std::string link_prefix;    // "https://vigie.example.org/#/incidents/"; may be empty
        std::shared_ptr<const Routes> routes{};  // nullptr: every message to every channel
    };

    using Channels = std::vector<std::shared_ptr<const Channel>>;
    // Hands blocking work to a pool (actions::Pool::submit). Work may be dropped at shutdown.
    using Submit = std::function<Status(std::function<void(const std::stop_token&)>)>;

    // Channel names must differ. `metrics` and `log` must outlive the notifier.
    Notifier(Options options, Channels channels, Submit submit, Rng rng, MetricsRegistry& metrics,
             Log& log);
    ~Notifier();

    // Makes a row of each notice of the event. Errors are those of the state.
    Status on_event(const schemas::IncidentEvent& event, EventTime now, State& state);

    // Takes in what became of earlier sends, and chooses what is sent now.
    Status on_tick(EventTime now, State& state);

    // After the step is durable: hands what was chosen to the pool.
    void on_committed();

private:
    struct Mailbox;  // Shared with the pool: what became of sends.
    struct Work {
        std::string row_key;
        std::shared_ptr<const Channel> channel;
        Message message;
    };
    using Flight = std::pair<std::string, std::string>;  // Row key and channel name

    Status add(Message message, EventTime now, State& state);
    Status drop_lost(const IncidentId& incident, State& state);
    Result<bool> make_room(const Message& message, State& state);
    Status take_in(EventTime now, State& state);
    Status choose(EventTime now, State& state);
    // By incident and channel: whether the notice that comes first there struggles.
    using Ahead = std::map<std::pair<std::string, std::string>, bool>;
    bool choose_legs(const std::string& key, const struct Row& row, EventTime now, Ahead& ahead);
    bool add_fallback(struct Row& row, EventTime now);
    bool is_too_old(const Message& message, EventTime now) const;
    std::chrono::microseconds backoff(int attempts);
    const Channel* fallback_for(const struct Row& row) const;
    Status settle(struct Row row, State& state, EventTime now);
    std::shared_ptr<const Channel> find(std::string_view name) const;
    void report_lost(const Message& message);

    const Options options_;
    const Channels channels_;
    const Submit submit_;
    MetricsRegistry& metrics_;
    Log& log_;
    // Owned by the worker's thread.
    Rng rng_;
    std::set<Flight> in_flight_;
    std::map<std::string, EventTime> closed_until_;  // By channel, as Retry-After said
    std::vector<Work> work_;                         // Of the step that is not committed yet
    const std::shared_ptr<Mailbox> mailbox_;
};

}  // namespace vigie::notify
