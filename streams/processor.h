#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/state.h"
#include "core/time.h"
#include "streams/bus.h"

namespace vigie::streams {

// What a processor may do during a step. Its State part is the processor's keyed state; all of
// it, outputs and timers included, becomes durable with the input position or not at all.
class Context : public State {
public:
    virtual void emit(Message message) = 0;

    // A durable timer in event time. Setting a name again moves it. It fires once, through
    // on_timer, when the watermark reaches `at`: due timers fire in (time, name) order BEFORE
    // the record that moved the watermark, ends of rows before timers of the same time. A time in
    // the past fires before the next record.
    virtual void set_timer(std::string_view name, EventTime at) = 0;
    virtual void cancel_timer(std::string_view name) = 0;

    // A row with an end: as put(), and erased when the watermark reaches `until`, before the record
    // that moved it. put() and erase() take the end away, put_until() moves it.
    virtual void put_until(std::string_view key, std::string value, EventTime until) = 0;

    // The partition's watermark: the highest event time seen minus the allowed lateness.
    // EventTime{} (the epoch) before the first record.
    virtual EventTime watermark() const = 0;
};

// One stage's work on ONE partition, which it owns alone. Runs to completion: no waiting, no
// threads, no clock, no randomness: the same input and state give the same output.
class Processor {
public:
    Processor() = default;
    Processor(const Processor&) = delete;
    Processor& operator=(const Processor&) = delete;
    virtual ~Processor() = default;

    // kInvalid: this record can never be processed; its changes are dropped, it goes to the
    // dead-letter topic with the message as reason, and the partition goes on. Any other error
    // stops the step; nothing of it is committed and it is tried again.
    virtual Status on_record(const Record& record, Context& context) = 0;
    virtual Status on_timer(std::string_view name, EventTime at, Context& context) = 0;

    // After the step is durable, on the worker's thread: the place to hand work to a pool.
    virtual void on_committed() {}

    // Bulk state lives in memory and is too large to commit with each step. A processor that
    // has it returns a snapshot here every so often (Worker::Options); the input position is
    // then committed together with the snapshot and only then, while outputs are committed at
    // once. After a restart the records since the snapshot are processed again, and the outputs
    // repeat with the same ids: consumers drop them. nullopt: no bulk state (the default).
    virtual bool has_bulk_state() const { return false; }
    virtual std::string snapshot() const { return {}; }
    // kInvalid for a format it does not know: the worker then starts from the oldest record.
    virtual Status restore(std::string_view snapshot) {
        return snapshot.empty() ? Status{} : fail(ErrorKind::kInvalid, "no bulk state here");
    }
};

}  // namespace vigie::streams
