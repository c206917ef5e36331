#pragma once

#include <string_view>

#include "core/time.h"
#include "schemas/log_groups.h"

namespace vigie::ingest {

// One syslog message, RFC 5424 or RFC 3164, as a log record and whose it is: host.name and
// service.name (the application), syslog.facility, and structured data as attributes "ID.NAME".
// Never fails, as senders write many dialects: what cannot be read as one is the text of a line.
// `now` gives the year and stands in for a time that is missing; `peer` is the host of who sent it.
// https://www.rfc-editor.org/rfc/rfc5424, https://www.rfc-editor.org/rfc/rfc3164
struct SyslogLine {
    schemas::Labels resource;
    schemas::LogRecord record;
    bool understood = true;  // False: there was no "<priority>" in front.
};
SyslogLine parse_syslog(std::string_view message, EventTime now, std::string_view peer);

}  // namespace vigie::ingest
