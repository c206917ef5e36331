#pragma once

#include <netdb.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/result.h"

namespace vigie::http {

// Asks for the addresses of a host name in the background. getaddrinfo() cannot be interrupted,
// and a name server that is down holds it for half a minute: whoever has a deadline abandons
// the lookup, which then ends by itself. See docs/adr/0006-http-library.md.
class Lookup {
public:
    using Addresses = std::vector<std::string>;  // "10.0.0.7", "2001:db8::1": never empty
    using Done = std::function<void(Result<Addresses>)>;

    // `done` is called once, on a thread of the C library, holding a lock: it only hands the result
    // on. kUnavailable for every failure; when start() itself fails `done` is not called.
    static Result<std::shared_ptr<Lookup>> start(std::string host, Done done);

    // Afterwards `done` is not running and will not be called. Safe from any other thread.
    void abandon();

    // Use start().
    Lookup(std::string host, Done done) : host_(std::move(host)), done_(std::move(done)) {}
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;
    ~Lookup();

private:
    void finish(int error);

    // Constant after start().
    const std::string host_;
    addrinfo hints_{};
    gaicb query_{};
    std::shared_ptr<Lookup> self_;  // While the C library works for us.

    std::mutex mutex_;  // Protects everything below.
    Done done_;
};

}  // namespace vigie::http
