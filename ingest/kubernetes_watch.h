#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/log.h"
#include "core/result.h"
#include "core/time.h"
#include "ingest/intake.h"

namespace vigie::ingest {

// Follows the events of a Kubernetes API server: lists them, watches from there on, takes up the
// watch where it ended, and lists again when the server no longer knows that place (410 Gone). What
// is listed again has the same ids, so it is told once. While the server does not answer it tries
// again, after longer and longer waits.
class KubernetesWatch {
public:
    struct Options {
        std::string server_url;  // "": no watch
        std::string token;
        std::string token_file;  // Read at every call: it is rotated.
        std::string ca_file;
        std::string certificate_sha256;
        std::string name_space;  // "": all
        std::chrono::milliseconds timeout{10'000};
        std::chrono::seconds watch_for{300};  // The server ends a watch after this.
        // Of a list: what is older was told of before, or is of no interest any more.
        std::chrono::seconds age_max{3600};
        std::chrono::milliseconds wait_min{1000};
        std::chrono::milliseconds wait_max{60'000};
    };

    // `log` must outlive it.
    KubernetesWatch(Options options, std::shared_ptr<Intake> intake, Log& log)
        : options_(std::move(options)), intake_(std::move(intake)), log_(log) {}

    // Until `stop` is requested. For a thread of its own.
    void run(const std::stop_token& stop);

private:
    enum class Ended : std::uint8_t { kUsual, kGone, kStopped };
    Status list(const std::stop_token& stop);
    Result<Ended> watch(const std::stop_token& stop);
    struct Watching;
    bool on_bytes(std::string_view bytes, Watching& watching);
    Result<Ended> on_line(std::string_view line);
    Status take(const std::string& event);
    std::string url(std::string_view query) const;
    Result<std::string> authorization() const;

    const Options options_;
    const std::shared_ptr<Intake> intake_;
    Log& log_;
    std::string version_;  // Where the watch goes on; "" lists first.
};

}  // namespace vigie::ingest
