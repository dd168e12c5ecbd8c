variable "instances" {
  description = "Other numbers of instances than functions.tf has, by function."
  type = map(object({
    min = optional(number)
    max = optional(number)
  }))
  default = {}

  validation {
    condition     = length(setsubtract(keys(var.instances), keys(local.functions))) == 0
    error_message = "No such function: ${join(", ", setsubtract(keys(var.instances), keys(local.functions)))}."
  }
}

locals {
  name = "watchledger"

  deployed = { for name, function in local.functions : name => {
    methods       = slice(split(" ", function.route), 0, length(split(" ", function.route)) - 1)
    path          = reverse(split(" ", function.route))[0]
    is_job        = strcontains(function.route, " /jobs/")
    memory        = try(function.memory, "512Mi")
    concurrency   = try(function.concurrency, 4)
    connections   = try(function.connections, function.concurrency, 4)
    min_instances = try(coalesce(var.instances[name].min), 0)
    max_instances = coalesce(try(var.instances[name].max, null), try(function.max_instances, 3))
    may_read      = concat(["primary"], try(function.reads_only, false) && local.has_replica ? ["replica"] : [])
    reads_replica = try(function.reads_only, false) && local.has_replica && var.database.replica_serves
  } }
  routed = { for name, function in local.deployed : name => function if !function.is_job }
  jobs   = { for name, function in local.deployed : name => function if function.is_job }

  settings = {
    DATABASE_NAME        = google_sql_database.watchledger.name
    GOOGLE_CLOUD_PROJECT = var.project_id
    JWT_ROLE_CLAIM       = var.tokens.role_claim
    PLAYERS_ARE_TRUSTED  = var.players_are_trusted
    STATEMENT_TIMEOUT_MS = var.statement_timeout_ms
  }
  settings_of_routed = {
    JWT_ISSUER   = var.tokens.issuer
    JWT_AUDIENCE = var.tokens.audience
    JWKS_URL     = var.tokens.jwks_url
  }
  settings_of_jobs = {
    JWT_ISSUER            = "https://accounts.google.com"
    JWKS_URL              = "https://www.googleapis.com/oauth2/v3/certs"
    SCHEDULER_ACCOUNT     = local.scheduler
    IAM_CHECKS_SIGNATURES = true # a job has one invoker, and no other way in: see modules/function
  }
  settings_of_one = {
    archive_segments = {
      ARCHIVE_URL    = "gs://${google_storage_bucket.archive.name}"
      RETENTION_DAYS = var.retention_days
    }
  }
}

module "function" {
  source   = "./modules/function"
  for_each = local.deployed

  name       = each.key
  project_id = var.project_id
  region     = var.region

  build = {
    bucket     = google_storage_bucket_object.source[each.key].bucket
    object     = google_storage_bucket_object.source[each.key].name
    account    = google_service_account.builder.id
    repository = google_artifact_registry_repository.functions.id
  }

  memory          = each.value.memory
  concurrency     = each.value.concurrency
  connections     = each.value.connections
  min_instances   = each.value.min_instances
  max_instances   = each.value.max_instances
  timeout_seconds = each.value.is_job ? local.deadlines[each.key] : 15
  ingress         = each.value.is_job ? "ALLOW_INTERNAL_ONLY" : "ALLOW_INTERNAL_AND_GCLB"
  # A player's token is not one of Google's, so it can't pass IAM: the function checks it. A job is the scheduler's.
  invoker    = each.value.is_job ? "serviceAccount:${local.scheduler}" : "allUsers"
  network    = google_compute_network.this.id
  subnetwork = google_compute_subnetwork.functions.id
  instance   = each.value.reads_replica ? one(values(google_sql_database_instance.replica)) : google_sql_database_instance.primary
  primary    = google_sql_database_instance.primary
  servers    = [for server in each.value.may_read : server == "primary" ? google_sql_database_instance.primary.name : one(values(google_sql_database_instance.replica)).name]
  secrets    = { LOG_PSEUDONYM_KEY = google_secret_manager_secret.log_pseudonym_key }

  settings = merge(
    local.settings,
    each.value.is_job ? local.settings_of_jobs : local.settings_of_routed,
    each.value.is_job ? {
      JWT_AUDIENCE      = local.audiences[each.key]
      JOB_TIME_BUDGET_S = floor(local.deadlines[each.key] * 0.75)
    } : {},
    lookup(local.settings_of_one, each.key, {}),
  )

  depends_on = [
    google_project_service.needed,
    google_artifact_registry_repository_iam_member.builder,
    google_project_iam_member.builder_logs,
    google_project_iam_member.builder_sources,
    google_storage_bucket_iam_member.builder,
  ]
}
