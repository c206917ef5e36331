#include "http/lookup.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <csignal>
#include <utility>

namespace vigie::http {

Result<std::shared_ptr<Lookup>> Lookup::start(std::string host, Done done) {
    auto lookup = std::make_shared<Lookup>(std::move(host), std::move(done));
    lookup->hints_.ai_socktype = SOCK_STREAM;
    lookup->hints_.ai_flags = AI_ADDRCONFIG;
    lookup->query_.ar_name = lookup->host_.c_str();
    lookup->query_.ar_request = &lookup->hints_;
    lookup->self_ = lookup;

#ifdef __SANITIZE_THREAD__
    // The sanitizer ends the process when a thread appears that it has not seen begin. Its tests
    // wait for the answer instead.
    lookup->finish(
        getaddrinfo(lookup->host_.c_str(), nullptr, &lookup->hints_, &lookup->query_.ar_result));
    return lookup;
#else
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_value.sival_ptr = lookup.get();
    event.sigev_notify_function = [](sigval value) {
        auto* const self = static_cast<Lookup*>(value.sival_ptr);
        self->finish(gai_error(&self->query_));
    };
    gaicb* queries[] = {&lookup->query_};
    const int error = getaddrinfo_a(GAI_NOWAIT, queries, 1, &event);
    if (error != 0) {
        lookup->self_.reset();
        return fail(ErrorKind::kUnavailable,
                    fmt::format("look up '{}': {}", lookup->host_, gai_strerror(error)));
    }
    return lookup;
#endif
}

Lookup::~Lookup() {
    if (query_.ar_result != nullptr) freeaddrinfo(query_.ar_result);
}

void Lookup::abandon() {
    const std::scoped_lock lock(mutex_);
    done_ = nullptr;
}

void Lookup::finish(int error) {
    const auto keep = std::move(self_);
    Addresses addresses;
    for (auto* at = query_.ar_result; error == 0 && at != nullptr; at = at->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, nullptr, 0,
                        NI_NUMERICHOST) == 0) {
            addresses.emplace_back(text);
        }
    }
    const std::scoped_lock lock(mutex_);
    if (!done_) return;
    if (addresses.empty()) {
        done_(fail(ErrorKind::kUnavailable,
                   fmt::format("look up '{}': {}", host_,
                               error == 0 ? "it has no address" : gai_strerror(error))));
    } else {
        done_(std::move(addresses));
    }
    done_ = nullptr;
}

}  // namespace vigie::http
