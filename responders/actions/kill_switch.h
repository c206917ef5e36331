#pragma once

#include <memory>
#include <string>
#include <utility>

#include "core/result.h"

namespace vigie::actions {

// The last word of a person: while it is on, nothing is changed anywhere.
class KillSwitch {
public:
    KillSwitch() = default;
    KillSwitch(const KillSwitch&) = delete;
    KillSwitch& operator=(const KillSwitch&) = delete;
    virtual ~KillSwitch() = default;

    // Success only when the switch is certainly off at this moment. kRefused when it is on,
    // kUnavailable when that cannot be told: the caller treats both as on. Safe to call from
    // any thread.
    virtual Status check_off() const = 0;
};

// A file that holds "on" or "off" (blanks and a line end around it are allowed), so that it
// can be set with an editor or `echo on >` when nothing else works. Read anew at each check.
// Missing, unreadable or holding anything else: on.
class FileKillSwitch final : public KillSwitch {
public:
    // Creates the file with "off" when it does not exist: only a start of Vigie does that. A
    // file that disappears later counts as on. kUnavailable when it cannot be created.
    static Result<std::unique_ptr<FileKillSwitch>> open(std::string path);

    Status check_off() const override;

    Status set(bool on);  // As set_kill_switch

private:
    explicit FileKillSwitch(std::string path) : path_(std::move(path)) {}

    const std::string path_;
};

// Replaces the file of a switch atomically and makes it durable. Switching on also works on a
// full disk: then the file that is there is overwritten, or removed. kUnavailable when that fails
// too; the switch then shows its old value.
Status set_kill_switch(const std::string& path, bool on);

}  // namespace vigie::actions
