# Small, and without a standby: what is tried here is the code and the plan, not the outage of a zone.
environment = "staging"
project_id  = "watchledger-staging"
region      = "europe-west4"
domain      = "watch-staging.example.com"
alert_email = "watchledger-staging@example.com"

tokens = {
  issuer   = "https://login-staging.example.com"
  audience = "watchledger"
  jwks_url = "https://login-staging.example.com/.well-known/jwks.json"
}

database = {
  tier            = "db-custom-1-3840"
  disk_gb         = 10
  disk_limit_gb   = 100
  max_connections = 250
  backup_days     = 8
  availability    = "ZONAL"
}

instances = {
  record_progress      = { max = 3 }
  record_bulk_progress = { max = 1 }
  start_session        = { max = 2 }
  touch_session        = { max = 1 }
  close_session        = { max = 2 }
  complete_attempt     = { max = 1 }
  find_progress        = { max = 2 }
  find_evidence        = { max = 1 }
  find_lesson          = { max = 1 }
  set_lesson           = { max = 1 }

  list_unassigned_history = { max = 1 }
  summarize_skips         = { max = 1 }
  summarize_engagement    = { max = 1 }
  assign_lesson           = { max = 1 }
  unassign_lesson         = { max = 1 }
}

rules_only_watch = true
