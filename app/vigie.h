#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "app/config.h"
#include "core/log.h"
#include "core/result.h"
#include "core/time.h"

namespace vigie::app {

// A whole Vigie in this process: bus, stages, responders, receivers, console. Everything runs
// between start() and stop(); a test can start several beside each other. Not thread-safe:
// one thread starts, reloads and stops it.
class Vigie {
public:
    struct Ports {
        std::uint16_t api = 0;
        std::uint16_t otlp = 0;          // 0: off
        std::uint16_t otlp_grpc = 0;     // 0: off
        std::uint16_t alertmanager = 0;  // 0: off
    };

    // kConflict when the data folder or an address is in use, kInvalid for what a file of the
    // configuration holds, kCorrupt or kUnavailable for a data folder that cannot be opened.
    // `log` and `clock` must outlive it. `config_file` is read again by reload().
    static Result<std::unique_ptr<Vigie>> start(Config config, std::string config_file, Log& log,
                                                const Clock& clock);
    ~Vigie();  // As stop(), without waiting for requests under way.
    Vigie(const Vigie&) = delete;
    Vigie& operator=(const Vigie&) = delete;

    Ports ports() const;

    // Reads the configuration file again and puts the agent's part (modes, limits, runbooks,
    // inventory) on the log. A bad file changes nothing and is the error; other sections
    // that changed need a restart, which is logged. Safe to call from any thread.
    Status reload();

    // Takes no new requests, answers those under way for at most `wait_max`, lets every stage
    // commit its step, and closes the bus.
    void stop(std::chrono::milliseconds wait_max);

private:
    struct Parts;
    explicit Vigie(std::unique_ptr<Parts> parts);

    std::unique_ptr<Parts> parts_;
};

}  // namespace vigie::app
