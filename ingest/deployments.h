#pragma once

#include <optional>
#include <string_view>

#include "core/result.h"
#include "core/time.h"
#include "ingest/webhook.h"
#include "schemas/observations.h"

// What GitLab, Jenkins and Argo CD tell of changes. Each gives nullopt for what is of no interest,
// kInvalid with the member that is missing, and never a time ahead of `now`.
namespace vigie::ingest {

// By its object_kind: push, tag_push, merge_request, pipeline, build (a job), deployment, release.
// https://docs.gitlab.com/user/project/integrations/webhook_events/
Result<std::optional<schemas::Change>> parse_gitlab(std::string_view body,
                                                    const SenderEntities& entities, EventTime now);

// What the Notification plugin sends, in JSON: https://plugins.jenkins.io/notification/
Result<std::optional<schemas::Change>> parse_jenkins(std::string_view body,
                                                     const SenderEntities& entities, EventTime now);

// {"app": …} with the Application as `{{toJson .app}}` writes it in a template:
// https://argo-cd.readthedocs.io/en/stable/operator-manual/notifications/services/webhook/
Result<std::optional<schemas::Change>> parse_argocd(std::string_view body,
                                                    const SenderEntities& entities, EventTime now);

}  // namespace vigie::ingest
