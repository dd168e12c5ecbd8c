output "service" {
  description = "The Cloud Run service below it."
  value       = google_cloudfunctions2_function.this.name
}

output "uri" {
  description = "Where the service answers whom it answers."
  value       = google_cloudfunctions2_function.this.service_config[0].uri
}

output "account" {
  description = "Who it is."
  value       = local.account
}

output "database_user" {
  description = "Who it is in the database."
  value       = google_sql_user.this.name
}
