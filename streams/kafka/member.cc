#include "streams/kafka/member.h"

#include <algorithm>
#include <atomic>

#include "streams/kafka/cluster.h"
#include "streams/kafka/metrics.h"

namespace vigie::streams::kafka {

namespace {

constexpr int kSliceMs = 50;
constexpr std::chrono::milliseconds kCloseSoon{500};
constexpr std::chrono::milliseconds kClosedRetry{2};
// Longer than a member may keep the others of its group waiting: max.poll.interval.ms is 5 minutes.
constexpr std::chrono::minutes kLeaveMax{10};

}  // namespace

Member::Member(const Cluster& cluster, std::string group, bool comes_back, Hooks hooks)
    : cluster_(cluster),
      group_(std::move(group)),
      comes_back_(comes_back),
      owner_(std::move(hooks)),
      hooks_(std::make_unique<Hooks>(cluster.log)) {
    hooks_->on_rebalance = [this](rd_kafka_resp_err_t code, auto* partitions) {
        on_rebalance(code, *partitions);
    };
    hooks_->on_error = [this](rd_kafka_resp_err_t code, std::string_view reason) {
        if (owner_.on_error) owner_.on_error(code, reason);
    };
}

Result<std::unique_ptr<Member>> Member::open(const Cluster& cluster, const std::string& group,
                                             const std::string& instance_id, Hooks hooks) {
    std::unique_ptr<Member> member(
        new Member(cluster, group, !instance_id.empty(), std::move(hooks)));
    Properties ours{{"group.id", cluster.group_name(group)},
                    {"partition.assignment.strategy", "cooperative-sticky"}};
    if (!instance_id.empty()) ours["group.instance.id"] = instance_id;
    VIGIE_TRY_ASSIGN(member->handle_, cluster.open_consumer(ours, *member->hooks_));
    rd_kafka_poll_set_consumer(member->handle());
    return member;
}

Member::~Member() {
    if (!handle_ || may_be_destroyed()) return;
    cluster_.metrics.counter(metrics::kAbandoned, {{"group", group_}}).add();
    rd_kafka_set_log_level(handle_.get(), 0);
    // With what its threads may still call.
    static_cast<void>(closing_.release());
    static_cast<void>(handle_.release());
    static_cast<void>(hooks_.release());
}

// librdkafka before 2.3 ends the process when a member is destroyed after it was let in and before
// it was given anything (confluentinc/librdkafka, issue 4312): it cannot be asked whether it was
// let in, only whether a broker knows it. And before 2.4 a consumer that was told to close cannot
// be destroyed before it has, which a rebalance amid that may prevent for ever (issue 4527).
bool Member::may_be_destroyed() const {
    const bool between = was_known_ && !given_;
    return closing_ ? rd_kafka_consumer_closed(handle()) != 0 : !between;
}

std::string Member::id() const {
    char* text = rd_kafka_memberid(handle());
    std::string id = text == nullptr ? "" : text;
    rd_kafka_mem_free(handle(), text);
    return id;
}

bool Member::is_known() {
    const bool known = !id().empty();
    was_known_ = was_known_ || known;
    return known;
}

bool Member::has_partitions() const {
    rd_kafka_topic_partition_list_t* list = nullptr;
    if (rd_kafka_assignment(handle(), &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
    return PartitionList(list)->cnt > 0;
}

void Member::on_rebalance(rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t& partitions) {
    given_ = true;
    if (owner_.on_rebalance) {
        owner_.on_rebalance(code, &partitions);
    } else if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        static_cast<void>(accept(partitions));
    } else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        static_cast<void>(give_up(partitions));
    } else {
        rd_kafka_assign(handle(), nullptr);
    }
}

Status Member::accept(const rd_kafka_topic_partition_list_t& partitions) const {
    const ErrorObject error(rd_kafka_incremental_assign(handle(), &partitions));
    if (!error) return {};
    return fail(error_of(rd_kafka_error_code(error.get()), "take partitions over"));
}

Status Member::give_up(const rd_kafka_topic_partition_list_t& partitions) const {
    const ErrorObject error(rd_kafka_incremental_unassign(handle(), &partitions));
    if (!error) return {};
    return fail(error_of(rd_kafka_error_code(error.get()), "give partitions up"));
}

bool Member::leave(const std::function<bool()>& over) {
    owner_.on_rebalance = nullptr;
    owner_.on_error = nullptr;
    return (closing_ || stop_working(over)) && close(over);
}

// No rebalance is under way afterwards; with an instance name another one is still possible.
bool Member::stop_working(const std::function<bool()>& over) {
    const auto poll_while = [&](const auto& condition) {
        while (condition()) {
            if (over()) return false;
            const Owned<rd_kafka_message_t> message(rd_kafka_consumer_poll(handle(), kSliceMs));
        }
        return true;
    };
    if (!poll_while([&] { return !given_ && is_known(); })) return false;
    if (comes_back_) return true;
    rd_kafka_unsubscribe(handle());
    return poll_while([&] { return is_known() || has_partitions(); });
}

bool Member::close(const std::function<bool()>& over) {
    if (!closing_) {
        closing_.reset(rd_kafka_queue_new(handle()));
        const ErrorObject error(rd_kafka_consumer_close_queue(handle(), closing_.get()));
        if (error) {
            closing_.reset();
            return true;
        }
    }
    // An answer to a question that is out of date would be waited for for ever, once the consumer
    // has closed: after the first one it is given time to.
    SteadyTime answer_from;
    while (rd_kafka_consumer_closed(handle()) == 0) {
        if (over()) return false;
        if (cluster_.clock.steady() < answer_from) {
            wait_for(kClosedRetry, {});
            continue;
        }
        const Owned<rd_kafka_event_t> event(rd_kafka_queue_poll(closing_.get(), kSliceMs));
        if (event && rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_REBALANCE) {
            rd_kafka_assign(handle(), nullptr);
            answer_from = cluster_.clock.steady() + kCloseSoon;
        }
    }
    return true;
}

struct LeavingMembers::Leaving {
    Leaving(const Cluster& cluster, std::unique_ptr<Member> leaving)
        : member(std::move(leaving)), thread("kafka-leave", [this, &cluster](const auto&) {
              const SteadyTime until = cluster.clock.steady() + kLeaveMax;
              member->leave([&] { return cluster.over(until); });
              member.reset();
              done = true;
          }) {}

    std::unique_ptr<Member> member;
    std::atomic<bool> done{false};
    Thread thread;  // Last: it uses the rest until joined.
};

LeavingMembers::LeavingMembers(const Cluster& cluster) : cluster_(cluster) {}

LeavingMembers::~LeavingMembers() = default;

void LeavingMembers::take(std::unique_ptr<Member> member) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(leaving_, [](const auto& leaving) { return leaving->done.load(); });
    leaving_.push_back(std::make_unique<Leaving>(cluster_, std::move(member)));
}

}  // namespace vigie::streams::kafka
