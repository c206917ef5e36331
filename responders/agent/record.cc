#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "responders/agent/state_keys.h"
#include "responders/agent/turn.h"

// How a turn remembers and says things.
namespace vigie::agent {

using schemas::IncidentState;

namespace {

// A record may be this far ahead of the watermark before its time is no longer believed.
constexpr std::chrono::seconds kAheadMax{60};

EventTime time_of(const Turn::Options& options) {
    const auto ahead = options.meta.time - options.now;
    const bool believed = ahead > EventClock::duration{0} && ahead <= kAheadMax;
    return believed ? options.meta.time : options.now;
}

// Reopened more than once: people were told twice already, the rest is held until it settles.
bool is_flapping(const Work& work) {
    return work.reopened >= 2;
}

}  // namespace

Turn::Turn(Options options)
    : context_(options.context),
      view_(options.view),
      policy_(options.view.policy()),
      now_(time_of(options)),
      meta_(std::move(options.meta)),
      memory_(context_, options.cache),
      world_(context_, view_),
      controls_(context_) {}

void Turn::audit(std::string_view what, std::string_view subject, std::string detail,
                 std::string_view actor) {
    schemas::Audit entry;
    entry.actor = clean(actor, kNameBytesMax);
    if (entry.actor.empty()) entry.actor = "unknown";
    entry.what = what;
    entry.subject = clean(subject, kTextBytesMax);
    entry.detail = std::move(detail);
    // Who asks what came of a decision finds all of it by its id.
    if (is_decision_ && subject != meta_.id.value) {
        entry.detail += fmt::format("{}by {}", entry.detail.empty() ? "" : "; ", meta_.id.value);
    }
    context_.emit(std::move(entry));
}

EventTime Turn::at(const Case& item) const {
    return std::max(now_, item.incident.updated_at);
}

void Turn::tell(Case& item, std::string_view kind, std::string text, std::string_view ref) {
    auto& timeline = item.incident.timeline;
    if (timeline.size() >= kTimelineMax) {
        const auto evidence = std::find_if(timeline.begin(), timeline.end(), [](const auto& entry) {
            return entry.kind == "evidence";
        });
        timeline.erase(evidence == timeline.end() ? timeline.begin() : evidence);
    }
    timeline.push_back({at(item), std::string(kind), std::move(text), std::string(ref)});
    item.incident.updated_at = at(item);
}

void Turn::notify(Case& item, std::string_view kind, std::string_view tag, std::string text) {
    const auto& id = item.incident.id.value;
    // Who was told that it is over must hear that it is not.
    const bool reopened_untold = tag == "reopened" && !item.work.told_resolved;
    const bool held_kind = kind == "update" || kind == "resolved" || reopened_untold;
    // Pages and approvals are never too many: one is lost otherwise.
    const bool full = held_kind && item.work.notices >= kNoticesMax;
    // An incident that nobody can see the end of would be forgotten.
    const bool last_word = tag == "settled" || tag == "unverified";
    const bool flapping = is_flapping(item.work) && held_kind && !last_word;
    // An incident that leaves its suppression announces itself before the state changes.
    const bool suppressed = item.incident.state == IncidentState::kSuppressed && tag != "opened";
    if (suppressed || flapping || full) {
        audit("notice held", id,
              fmt::format("{} {}: {}", kind, tag,
                          flapping ? "the incident is flapping"
                          : full   ? fmt::format("it has had {} notices", item.work.notices)
                                   : "the incident is suppressed"));
        return;
    }
    ++item.work.notices;
    notices_.push_back(
        {fmt::format("{}:{}:{}", id, tag, item.work.notices), std::string(kind), std::move(text)});
}

void Turn::move(Case& item, IncidentState to, std::string reason) {
    const auto previous = item.incident.state;
    item.incident.state = to;
    tell(item, "state", fmt::format("{}: {}", schemas::to_string(to), reason));
    const std::string from =
        previous == to ? "" : fmt::format("{} -> ", schemas::to_string(previous));
    audit("incident moved", item.incident.id.value,
          fmt::format("{}{}: {}", from, schemas::to_string(to), reason));
    say(item, previous, std::move(reason));
}

// Tells of what changed without a transition, and stores the case: the end of every turn of it.
void Turn::finish(Case& item) {
    auto& work = item.work;
    if (!update_.empty() || !notices_.empty()) {
        item.incident.updated_at = at(item);
        const auto next = work.told_at + kUpdateInterval;
        const bool hold = notices_.empty() && at(item) < next &&
                          item.incident.evidence.size() > kUpdatesAtOnceMax;
        if (hold) {
            work.held_update = std::exchange(update_, {});
            start_timer(item, kUpdateTimer, next);
        } else {
            say(item, item.incident.state, update_.empty() ? "notice" : update_);
        }
    }
    memory_.save(item);
}

// Puts the incident as it is now on the log.
void Turn::say(Case& item, IncidentState previous, std::string reason) {
    item.work.told_at = at(item);
    item.work.held_update.clear();
    update_.clear();
    item.incident.evidence_dropped += std::exchange(item.work.only_counted, 0);
    schemas::IncidentEvent event;
    event.incident = item.incident;
    event.previous = previous;
    event.reason = std::move(reason);
    event.notices = std::exchange(notices_, {});
    context_.emit(std::move(event));
}

void Turn::start_timer(const Case& item, std::string_view name, EventTime when) {
    context_.set_timer(timer_name(name, item.incident.id.value), when);
}

void Turn::cancel_timers(const Case& item) {
    for (const auto name : {kDiagnoseTimer, kInspectTimer, kApprovalTimer, kActionTimer, kHoldTimer,
                            kVerifyTimer, kSettleTimer}) {
        context_.cancel_timer(timer_name(name, item.incident.id.value));
    }
}

std::set<EntityId> Turn::canonical_entities(const Case& item) const {
    std::set<EntityId> out;
    for (const auto& entity : item.incident.entities) out.insert(view_.canonical(entity));
    return out;
}

}  // namespace vigie::agent
