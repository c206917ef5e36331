#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "responders/agent/correlate.h"
#include "responders/agent/limits.h"
#include "responders/agent/notices.h"
#include "responders/agent/recovery.h"
#include "responders/agent/state_keys.h"
#include "responders/agent/turn.h"

// What a turn does with alerts, anomalies and changes: which incident each belongs to.
namespace vigie::agent {

using schemas::Evidence;
using schemas::IncidentState;
using schemas::Severity;

namespace {

bool opens(const Signal& signal) {
    return signal.firing && signal.severity >= Severity::kWarning;
}

Evidence* find_evidence(schemas::Incident& incident, const Signal& signal) {
    for (auto& item : incident.evidence) {
        if (item.kind == signal.kind && item.key == signal.key) return &item;
    }
    return nullptr;
}

bool is_suspect_kind(schemas::ChangeKind kind) {
    return kind == schemas::ChangeKind::kDeployment ||
           kind == schemas::ChangeKind::kConfiguration || kind == schemas::ChangeKind::kScaling;
}

std::string shown(const Signal& signal) {
    const auto name = clean(signal.name.empty() ? signal.key : signal.name, kNameBytesMax);
    return signal.entity.empty() ? fmt::format("{} {}", signal.kind, name)
                                 : fmt::format("{} {} of {}", signal.kind, name,
                                               clean(signal.entity.value, kNameBytesMax));
}

}  // namespace

Status Turn::on_signal(const Signal& signal) {
    const auto name = evidence_name(signal.kind, signal.key);
    VIGIE_TRY_ASSIGN(const auto known, memory_.incident_of(name));
    if (known) {
        VIGIE_TRY_ASSIGN(auto item, memory_.load(*known));
        if (item && find_evidence(item->incident, signal) != nullptr) {
            return on_known_signal(*item, signal);
        }
        memory_.forget_symptom(name);
    }
    if (signal.firing) return on_new_signal(signal);
    if (signal.ended == schemas::Ended::kSilent) {
        audit("signal dropped", meta_.id.value,
              fmt::format("dropped: {} is no longer judged; what is known of it stays",
                          shown(signal)));
        return {};
    }
    VIGIE_TRY_ASSIGN(const bool dropped, world_.drop_loose(name));
    audit(dropped ? "evidence ended" : "signal dropped", meta_.id.value,
          dropped ? fmt::format("{} is over; no incident had it", shown(signal))
                  : fmt::format("dropped: {} is over, but was not known to fire", shown(signal)));
    return {};
}

Status Turn::on_known_signal(Case& item, const Signal& signal) {
    Evidence* evidence = find_evidence(item.incident, signal);
    VIGIE_ASSERT(evidence != nullptr);
    auto& track = item.work.tracks[evidence_name(signal.kind, signal.key)];
    if (signal.seen_at < track.seen_at) {
        audit("signal dropped", meta_.id.value,
              fmt::format("dropped as late: {} was seen at {} already, this is of {}",
                          shown(signal), to_rfc3339(track.seen_at), to_rfc3339(signal.seen_at)));
        return {};
    }
    track.seen_at = signal.seen_at;
    if (!signal.firing) {
        const bool calm = signal.ended == schemas::Ended::kCalm;
        return calm ? on_clear(item, *evidence, signal) : on_unclear_end(item, *evidence, signal);
    }
    if (evidence->cleared_at || evidence->ended) return on_return(item, *evidence, signal);
    return on_repeat(item, *evidence, signal);
}

// The same symptom told again while it fires: only what got worse is news. Senders repeat each
// alert every minute for as long as it lasts, so the audit has repeats 1, 2, 4, 8 and so on.
Status Turn::on_repeat(Case& item, Evidence& evidence, const Signal& signal) {
    auto& incident = item.incident;
    const auto repeats = ++item.work.tracks[evidence_name(signal.kind, signal.key)].repeats;
    if (std::has_single_bit(static_cast<std::uint64_t>(repeats))) {
        audit("signal dropped", meta_.id.value,
              fmt::format("dropped as duplicate: {} already fires in {} since {}{}; repeat {}",
                          shown(signal), incident.id.value, to_rfc3339(evidence.at),
                          is_closed(incident.state) ? ", which a person resolved" : "", repeats));
    }
    evidence.score = std::max(evidence.score, signal.score);
    if (!is_closed(incident.state)) {
        const bool grew = signal.severity > incident.severity;
        const bool became_symptom = opens(signal) && !evidence.symptom;
        if (evidence.symptom || became_symptom) {
            note_presence(item, evidence.entity, signal.seen_at);
        }
        if (grew) {
            incident.severity = signal.severity;
            tell(item, "evidence",
                 fmt::format("{} is now {}", shown(signal), schemas::to_string(signal.severity)),
                 meta_.id.value);
            touch("its severity rose");
        }
        if (became_symptom) {
            memory_.set_labels(evidence_name(signal.kind, signal.key), signal.labels);
            evidence.symptom = true;
            tell_firing(item, "page");
            VIGIE_TRY(after_evidence(item));
        }
    }
    finish(item);
    return {};
}

Status Turn::on_return(Case& item, Evidence& evidence, const Signal& signal) {
    const bool was_silent = evidence.ended == schemas::Ended::kSilent;
    evidence.cleared_at.reset();
    evidence.ended.reset();
    if (!evidence.symptom)
        memory_.set_labels(evidence_name(signal.kind, signal.key), signal.labels);
    evidence.symptom = evidence.symptom || opens(signal);
    evidence.score = std::max(evidence.score, signal.score);
    const auto reason = fmt::format("{} fires again", shown(signal));
    audit("signal merged", meta_.id.value,
          fmt::format("merged into {} because {}", item.incident.id.value, reason));
    tell(item, "evidence", reason, meta_.id.value);
    if (is_closed(item.incident.state) && evidence.symptom) {
        VIGIE_TRY(reopen(item, reason));
    } else if (!is_closed(item.incident.state)) {
        touch(reason);
        if (evidence.symptom) {
            note_presence(item, evidence.entity, signal.seen_at);
            // What fell silent is known already; anything else is worth waking somebody.
            tell_firing(item, was_silent ? "update" : "page");
        }
        VIGIE_TRY(after_evidence(item));
    }
    finish(item);
    return {};
}

Status Turn::on_clear(Case& item, Evidence& evidence, const Signal& signal) {
    if (evidence.cleared_at) {
        audit("signal dropped", meta_.id.value,
              fmt::format("dropped as duplicate: {} cleared at {} already", shown(signal),
                          to_rfc3339(*evidence.cleared_at)));
        finish(item);
        return {};
    }
    evidence.cleared_at = signal.seen_at;
    evidence.ended.reset();
    const auto reason = fmt::format("{} cleared", shown(signal));
    audit("signal merged", meta_.id.value,
          fmt::format("merged into {}: {}", item.incident.id.value, reason));
    tell(item, "evidence", reason, meta_.id.value);
    touch(reason);
    if (!is_closed(item.incident.state)) {
        VIGIE_TRY(watch_symptoms(item));
        VIGIE_TRY(tell_unverified(item));
    }
    finish(item);
    return {};
}

// It ended without clearing: that is recorded, and is no recovery.
Status Turn::on_unclear_end(Case& item, Evidence& evidence, const Signal& signal) {
    if (evidence.cleared_at || evidence.ended == signal.ended) {
        audit("signal dropped", meta_.id.value,
              fmt::format("dropped as duplicate: {} {} already", shown(signal),
                          evidence.cleared_at ? "cleared" : "ended"));
        finish(item);
        return {};
    }
    evidence.ended = signal.ended;
    const auto reason = fmt::format("{}: {}", shown(signal),
                                    signal.ended == schemas::Ended::kSilent
                                        ? "data stopped, not recovery"
                                        : "taken as the new normal, not recovery");
    audit("signal merged", meta_.id.value,
          fmt::format("merged into {}: {}", item.incident.id.value, reason));
    tell(item, "evidence", fmt::format("{} ({})", reason, signal.text), meta_.id.value);
    touch(reason);
    if (!is_closed(item.incident.state)) VIGIE_TRY(tell_unverified(item));
    finish(item);
    return {};
}

Status Turn::on_new_signal(const Signal& signal) {
    const auto entity = view_.canonical(signal.entity);
    VIGIE_TRY_ASSIGN(const auto match, correlate(entity, signal.seen_at, memory_, world_, view_));
    if (match) {
        VIGIE_TRY_ASSIGN(auto item, memory_.load(match->incident));
        if (item) {
            const auto dropped = world_.drop_loose(evidence_name(signal.kind, signal.key));
            if (!dropped) return fail(dropped.error());
            return merge(*item, signal, match->because);
        }
    }
    if (opens(signal)) {
        VIGIE_TRY_ASSIGN(auto unfinished, resolved_too_early(entity, signal));
        return unfinished ? resume(*unfinished, signal) : open(signal);
    }
    LooseEvidence loose;
    loose.evidence = {meta_.id, signal.kind, signal.key, signal.entity, signal.onset,
                      {},       {},          false,      signal.score,  signal.text};
    loose.channel = signal.channel;
    loose.seen_at = signal.seen_at;
    VIGIE_TRY_ASSIGN(const bool is_new, world_.keep_loose(loose, now_));
    if (!is_new) return {};
    audit("evidence kept", meta_.id.value,
          fmt::format("{} is evidence only ({}) and no incident is near it", shown(signal),
                      schemas::to_string(signal.severity)));
    return {};
}

// A detector that is behind tells late of a time when an incident near by was still open, or
// about to open: that one was not over, and a second one would say the same. As with a symptom
// that returns, this ends when the correlation window after the incident has passed.
Result<std::optional<Case>> Turn::resolved_too_early(const EntityId& entity, const Signal& signal) {
    if (entity.empty()) return std::nullopt;
    VIGIE_TRY_ASSIGN(const auto closed, memory_.closed_since(signal.seen_at));
    if (closed.empty()) return std::nullopt;
    VIGIE_TRY_ASSIGN(const auto around, world_.neighbours(entity));
    const auto is_near = [&](const EntityId& other) {
        return other == entity || around.dependencies.contains(other) ||
               around.dependents.contains(other);
    };
    const auto was_near = [&](const EntityId& other) { return is_near(view_.canonical(other)); };
    for (const auto& [id, places] : closed) {
        if (!places.empty() && std::ranges::none_of(places, was_near)) continue;
        VIGIE_TRY_ASSIGN(auto item, memory_.load(id));
        if (!item || item->work.overflow) continue;
        const auto& incident = item->incident;
        if (incident.state != IncidentState::kResolved || !incident.resolved_at) continue;
        const bool settled = at(*item) >= *incident.resolved_at + policy_.correlation_window;
        const bool before = signal.seen_at < incident.opened_at - policy_.correlation_window;
        if (settled || before) continue;
        const auto entities = canonical_entities(*item);
        if (std::none_of(entities.begin(), entities.end(), is_near)) continue;
        VIGIE_TRY_ASSIGN(const auto silence, silenced_by(*item));
        if (!silence.empty()) continue;
        VIGIE_TRY(make_room(*item));
        if (incident.evidence.size() < kEvidenceMax) return item;
    }
    return std::nullopt;
}

Status Turn::resume(Case& item, const Signal& signal) {
    const auto reason =
        fmt::format("{} was seen at {}, when this was not yet resolved, and is told only now",
                    shown(signal), to_rfc3339(signal.seen_at));
    audit("signal merged", meta_.id.value,
          fmt::format("merged into {} because {}", item.incident.id.value, reason));
    VIGIE_TRY(add_evidence(item, signal));
    item.incident.severity = std::max(item.incident.severity, signal.severity);
    tell(item, "evidence", fmt::format("{}: {}", reason, signal.text), meta_.id.value);
    VIGIE_TRY(reopen(item, reason));
    finish(item);
    return {};
}

Status Turn::merge(Case& item, const Signal& signal, std::string_view because) {
    auto& incident = item.incident;
    const auto reason = fmt::format("{} merged because {}", shown(signal), because);
    audit("signal merged", meta_.id.value,
          fmt::format("merged into {} because {}", incident.id.value, because));
    VIGIE_TRY_ASSIGN(const bool added, add_evidence(item, signal));
    if (!added && signal.severity <= incident.severity) {
        if (!item.work.told_ended || !opens(signal)) {
            count_only(item);
            return {};
        }
        // Full of symptoms whose end nobody can see: that something fires again is still news.
        tell_firing(item, "page");
        finish(item);
        return {};
    }
    tell(item, "evidence", fmt::format("{}: {}", reason, signal.text), meta_.id.value);
    touch(reason);
    if (opens(signal)) {
        incident.severity = std::max(incident.severity, signal.severity);
        tell_firing(item, "page");
    }
    VIGIE_TRY(after_evidence(item));
    finish(item);
    return {};
}

// Storms come to thousands of symptoms: one that is only counted costs no diagnosis and no record
// of the incident, which tells their number from time to time.
void Turn::count_only(Case& item) {
    if (item.work.held_update.empty()) {
        item.work.held_update = "there are more symptoms than it can hold";
        start_timer(item, kUpdateTimer, std::max(at(item), item.work.told_at + kUpdateInterval));
    }
    memory_.save(item);
}

Status Turn::open(const Signal& signal) {
    VIGIE_TRY_ASSIGN(const auto open_count, memory_.open_count());
    if (open_count >= policy_.open_incidents_max) return overflow(signal);
    Case item;
    auto& incident = item.incident;
    incident.id = {stable_id(
        "inc-", fmt::format("{}\n{}\n{}\n{}", meta_.domain.value, meta_.id.value,
                            evidence_name(signal.kind, signal.key), micros_of(signal.seen_at)))};
    incident.domain = meta_.domain;
    incident.severity = signal.severity;
    incident.title =
        clean(signal.entity.empty() ? signal.name
                                    : fmt::format("{}: {}", signal.entity.value, signal.name),
              kNameBytesMax);
    incident.opened_at = now_;
    incident.updated_at = now_;
    VIGIE_TRY(memory_.add_open(incident.id));
    const auto reason = fmt::format("{} fires and no open incident is near it", shown(signal));
    audit("incident opened", meta_.id.value,
          fmt::format("opened {} because {}", incident.id.value, reason));
    tell(item, "opened", fmt::format("{}: {}", reason, signal.text), meta_.id.value);
    VIGIE_TRY(add_evidence(item, signal));
    VIGIE_TRY(gather(item));
    start_timer(item, kDiagnoseTimer, at(item) + policy_.diagnose_after);
    VIGIE_TRY_ASSIGN(const auto silence, silenced_by(item));
    if (silence.empty()) {
        notify(item, "page", "opened", page_text(incident));
        move(item, IncidentState::kOpen, reason);
    } else {
        move(item, IncidentState::kSuppressed, silence);
    }
    finish(item);
    return {};
}

// One incident takes what no other may: people see that there is more than can be handled.
Status Turn::overflow(const Signal& signal) {
    VIGIE_TRY_ASSIGN(const auto known, memory_.overflow());
    const auto because = fmt::format("there are already {} open incidents, the most allowed",
                                     policy_.open_incidents_max);
    if (known) {
        VIGIE_TRY_ASSIGN(auto item, memory_.load(*known));
        if (item) return merge(*item, signal, because);
    }
    Case item;
    auto& incident = item.incident;
    item.work.overflow = true;
    item.work.hold = Hold::kPerson;
    incident.id = {
        stable_id("inc-", fmt::format("{}\noverflow\n{}", meta_.domain.value, meta_.id.value))};
    incident.domain = meta_.domain;
    incident.severity = Severity::kCritical;
    incident.title = fmt::format("More than {} open incidents", policy_.open_incidents_max);
    incident.opened_at = now_;
    incident.updated_at = now_;
    VIGIE_TRY(memory_.add_open(incident.id));
    memory_.set_overflow(incident.id);
    audit("incident opened", meta_.id.value,
          fmt::format("opened {} because {}", incident.id.value, because));
    tell(item, "opened", because, meta_.id.value);
    VIGIE_TRY(add_evidence(item, signal));
    notify(item, "page", "opened", page_text(incident));
    move(item, IncidentState::kEscalated, because);
    finish(item);
    return {};
}

Status Turn::on_change(const schemas::Change& change) {
    if (change.kind == schemas::ChangeKind::kTopology) {
        const auto from = view_.canonical(change.entity);
        const auto to = view_.canonical(change.peer);
        if (from.empty() || to.empty()) {
            audit("change ignored", meta_.id.value, "an edge needs two entities");
            return {};
        }
        VIGIE_TRY_ASSIGN(const auto learned, world_.learn_edge(from, to));
        audit("topology learned", meta_.id.value,
              fmt::format("{} depends on {}: {}", clean(from.value, kNameBytesMax),
                          clean(to.value, kNameBytesMax),
                          learned == World::Learned::kNew     ? "new"
                          : learned == World::Learned::kKnown ? "known already"
                                                              : "refused, too many edges"));
        return {};
    }
    VIGIE_TRY_ASSIGN(const auto folded, world_.remember(change, meta_.id, now_));
    audit("change recorded", meta_.id.value,
          fmt::format("{} {} of {} is suspect for {}", schemas::to_string(change.kind),
                      clean(change.key, kNameBytesMax), clean(change.entity.value, kNameBytesMax),
                      age_text(policy_.change_window)));
    if (is_suspect_kind(change.kind)) return attach_change(folded);
    return {};
}

// Open incidents where the change happened see it at once.
Status Turn::attach_change(const RecentChange& change) {
    std::set<IncidentId> near;
    for (const auto& entity : view_.touched_by(change.entity)) {
        VIGIE_TRY_ASSIGN(const auto here, memory_.present_at(entity));
        for (const auto& presence : here) near.insert(presence.incident);
    }
    for (const auto& id : near) {
        VIGIE_TRY_ASSIGN(auto item, memory_.load(id));
        if (!item) continue;
        audit("signal merged", meta_.id.value,
              fmt::format("merged into {} because the change touches an entity of it", id.value));
        tell(*item, "evidence", fmt::format("change {}", clean(change.key, kNameBytesMax)),
             meta_.id.value);
        touch("a change touches it");
        VIGIE_TRY(after_evidence(*item));
        finish(*item);
    }
    return {};
}

}  // namespace vigie::agent
