#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "app/pipeline.h"
#include "core/rng.h"
#include "core/time.h"
#include "schemas/events.h"
#include "streams/memory/memory_bus.h"
#include "tests/world/cluster.h"
#include "tests/world/planted_bus.h"

namespace vigie::sim {

// Built with VIGIE_PLANTED_BUG, to see that the simulator finds it.
#ifdef VIGIE_PLANTED_BUG
inline constexpr bool kPlanted = true;
#else
inline constexpr bool kPlanted = false;
#endif

// Chances per thousand.
struct Hazards {
    std::uint32_t crash = 0;   // Of the whole process, before each step of a worker
    std::uint32_t bus = 0;     // Of each kind of lost call or answer of the bus, per call
    std::uint32_t outage = 0;  // That the disk gets full or slow, or a partition out of reach, per
                               // call and for up to kOutageCallsMax of them
    std::uint32_t inside = 0;  // Of a crash inside a call of the bus; ten times that in a commit
    std::uint32_t stall = 0;   // That a member stalls in a commit and is taken for dead
    std::uint32_t member = 0;  // That a second worker of a stage joins or leaves, before each step
    std::uint32_t call = 0;    // That the fate of a call to the cluster stays unknown
    std::uint32_t page = 0;    // That a page is lost, and that its answer is
    std::uint32_t clock = 0;   // That the wall clock is wrong for a second, each second
    bool shuffle = false;      // Stages step in a random order, with batches of random size
    bool planted = kPlanted;   // The bus has a bug: position first, then state (PlantedBus)
};

// A whole Vigie in one thread, on a virtual clock, with everything outside it: the log, the
// cluster and the people's phones live on when it crashes. Equal arguments and calls give equal
// results.
class World {
public:
    struct Options {
        std::uint64_t seed = 1;
        Hazards hazards;
        schemas::Policy policy;
        app::DetectConfig detect;
    };

    static constexpr std::int32_t kPartitions = 3;  // Of the telemetry topics

    explicit World(Options options);
    ~World();

    // Puts a record on the log as a sender does: one after the other for each topic, each again
    // until it is acknowledged, so it may be there twice when an answer is lost. With hazards it
    // may get there later, with settle() at the latest.
    void feed(const streams::Message& message);

    // Moves time on by one second: a tick on every topic, then work until nothing is left to do
    // (without hazards) or for a while (with them).
    void advance();

    // From now on nothing goes wrong; works until nothing is left to do.
    void settle();

    // Takes the process away and starts another one.
    void crash();

    EventTime now() const;
    std::size_t crashes() const { return crashes_; }
    // What went wrong so far, and how often.
    std::map<std::string, std::size_t> met() const;
    Cluster& cluster() { return cluster_; }
    const streams::MemoryBus& bus() const { return bus_; }
    const app::DetectConfig& detect() const { return options_.detect; }
    const std::vector<streams::Message>& fed() const { return fed_; }

    // The incidents as the log has them last, by id.
    const std::map<std::string, schemas::Incident>& incidents() const;
    // Every incident event, in the order of the log.
    const std::vector<schemas::IncidentEvent>& transitions() const;
    // How often each notice reached a phone, by notice id.
    const std::map<std::string, int>& pages() const { return pages_; }
    const std::map<std::string, std::string>& postmortems() const { return postmortems_; }
    bool kill_switch_on() const { return kill_on_; }

private:
    class VirtualClock;
    struct Process;  // What a crash takes away
    struct Place {   // Of a worker: its stage, and the first or second member of the group
        std::size_t stage = 0;
        std::size_t member = 0;
        auto operator<=>(const Place&) const = default;
    };
    struct Outbox {
        std::deque<streams::Message> messages;
        bool under_way = false;
    };

    void start_process();
    std::unique_ptr<streams::Processor> make_notify_stage();
    void read_incidents() const;
    void work(std::size_t steps);
    void turn(std::size_t number);
    bool step(Place place, std::size_t records_max);
    bool send();
    void change_members();
    void pause(streams::MemoryBus::Pause pause);
    void pass_time();

    const Options options_;
    Rng rng_;
    std::unique_ptr<VirtualClock> clock_;
    streams::MemoryBus bus_;
    PlantedBus planted_bus_;
    Cluster cluster_;
    std::map<std::string, int> pages_;
    std::map<std::string, std::string> postmortems_;
    bool kill_on_ = false;
    std::size_t crashes_ = 0;
    std::size_t starts_ = 0;
    Hazards hazards_;
    std::vector<streams::Message> fed_;
    std::map<std::string, Outbox> outboxes_;  // By topic
    std::set<Place> in_step_;                 // More than one while one is paused
    std::map<std::string, std::size_t> met_;  // Beside what the bus counts
    // What was read of vigie.incidents so far.
    mutable streams::Offset incidents_read_ = 0;
    mutable std::vector<schemas::IncidentEvent> transitions_;
    mutable std::map<std::string, schemas::Incident> incidents_;
    std::unique_ptr<Process> process_;  // Last: it uses everything above.
};

}  // namespace vigie::sim
