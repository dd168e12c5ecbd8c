output "url" {
  description = "Where API and pages are."
  value       = "https://${var.domain}"
}

output "dns_records" {
  description = "What the domain's zone has to say: the address, and that this project may have its certificate."
  value = [
    "${var.domain}. A ${google_compute_global_address.edge.address}",
    join(" ", [for part in google_certificate_manager_dns_authorization.domain.dns_resource_record : "${part.name} ${part.type} ${part.data}"]),
  ]
}

output "instance_connection_name" {
  description = "The database server, for migrations."
  value       = google_sql_database_instance.primary.connection_name
}

output "migrator" {
  description = "The account that migrates, and its user in the database."
  value       = { account = local.migrator, user = google_sql_user.migrator.name }
}

output "worker_pool" {
  description = "Build machines that reach the database."
  value       = google_cloudbuild_worker_pool.deploy.id
}

output "archive_url" {
  description = "Where archived months are."
  value       = "gs://${google_storage_bucket.archive.name}"
}

output "functions" {
  description = "Each function's service, account and user in the database."
  value = { for name, function in module.function : name => {
    service = function.service
    account = function.account
    user    = function.database_user
  } }
}

output "routes" {
  description = "Method and path of each function that the load balancer knows."
  value       = { for name, function in local.routed : name => "${join(" ", function.methods)} ${function.path}" }
}

output "connections" {
  description = "What all functions together may open, of what the database has for them."
  value       = merge(local.connections, { limit = var.database.max_connections - var.database.reserved })
}
