#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "http/client.h"
#include "responders/actions/action.h"

namespace vigie::actions {

// What a write to a peer came to. `fate` is what is certain from the status alone.
struct Written {
    Fate fate = Fate::kUnknown;
    int status = 0;       // 0: no answer
    std::string body;     // Of the answer
    std::string message;  // One sentence when it is not kDone
};

// One HTTP API that actions call, with its credential. Safe to call from any thread.
class RestApi {
public:
    struct Options {
        std::string name;      // For messages: "kubernetes"
        std::string base_url;  // "https://10.0.0.1:6443", without the slash at the end
        std::string token;
        std::string token_file;    // Read at every call, as Kubernetes renews it; wins over `token`
        std::string token_prefix;  // "Bearer " or "PVEAPIToken="; before it in Authorization
        http::ClientOptions client;
    };

    explicit RestApi(Options options);

    // Any answer is a success. kUnavailable when there was none, kCancelled when stopped.
    Result<http::Response> read(std::string_view target, CallBudget& budget) const;

    struct Write {
        std::string method;
        std::string target;
        std::string content_type;
        std::string body;
    };
    // Asks `budget` for permission immediately before sending.
    Written write(const Write& write, CallBudget& budget) const;

    // `text` as it may be shown: one line, cut, without the credential, also one that was read
    // from the file.
    std::string clean(std::string_view text) const;

private:
    Result<http::ClientRequest> prepare(std::string method, std::string_view target,
                                        std::string* secret) const;
    http::ClientOptions limited(const CallBudget& budget) const;

    struct Used;  // The tokens of the latest calls

    const Options options_;
    const std::shared_ptr<Used> used_;
};

// What a status says about a request that would change something: 2xx done, 4xx certainly not
// (but 408), 501 and 505 certainly not, anything else unknown: servers and proxies answer 5xx
// after they have acted, too.
Fate fate_of_status(int status);

// What an execution came to that ended before anything was sent: failed when the target could not
// be read, refused when reading it said no.
Outcome not_called(const Error& error);

// The kind of error that a status other than 2xx is to a reader.
ErrorKind kind_of_status(int status);

// The value of a parameter, or else of a fact of the inspection; "" when there is neither.
// Runbooks pass facts on as parameters; both ways lead here.
std::string value_of(const ActionRequest& request, std::string_view name);

// RFC 1123: what Kubernetes and Proxmox allow as names, and nothing that means something else
// in a path.
bool is_dns_name(std::string_view text);

// Decimal digits only; nullopt for anything else and for more than 18 of them.
std::optional<std::int64_t> parse_number(std::string_view text);

}  // namespace vigie::actions
