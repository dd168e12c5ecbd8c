# 100,000 viewer-hours a month and more, see docs/cost.md; what only reads has a server of its own.
environment = "production"
project_id  = "watchledger-production"
region      = "europe-west4"
domain      = "watch.example.com"
alert_email = "watchledger@example.com"

tokens = {
  issuer   = "https://login.example.com"
  audience = "watchledger"
  jwks_url = "https://login.example.com/.well-known/jwks.json"
}

database = {
  tier            = "db-custom-4-16384"
  replica_tier    = "db-custom-2-7680"
  disk_gb         = 100
  disk_limit_gb   = 1000
  max_connections = 800
}

# One is always awake: a learner's first second must not wait for a start.
instances = {
  record_progress = { min = 2 }
  start_session   = { min = 1 }
  close_session   = { min = 1 }
  find_progress   = { min = 1 }
}

platform_host = "lms.example.com"

pages = {
  sign_in_url = "https://lms.example.com/login?return={url}"
  video_url   = "https://videos.example.com/{lessonId}.mp4"
}
