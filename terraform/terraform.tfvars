# What is planned when no other is chosen: an example that is nobody's, for `terraform test` and for trying things out.
# A real environment is chosen by -var-file=environments/….tfvars, and sets everything that is set here.
environment = "example"
project_id  = "watchledger-example"
region      = "europe-west4"
domain      = "watch.example.com"
alert_email = "on-call@example.com"

tokens = {
  issuer   = "https://login.example.com"
  audience = "watchledger"
  jwks_url = "https://login.example.com/.well-known/jwks.json"
}

database = {
  tier            = "db-custom-4-16384"
  max_connections = 800
}
