# Connections are what a database runs out of first. While a new revision takes over there may be twice as many
# instances, so what all functions could open then has to fit, beside the ones reserved for people, backups and
# replication. A plan that does not add up fails: see the preconditions in database.tf and replica.tf.
locals {
  most_connections = {
    for name, function in local.deployed : name => function.max_instances * function.connections * 2
  }
  connections = {
    primary = sum([for name, most in local.most_connections : local.deployed[name].reads_replica ? 0 : most])
    replica = sum([for name, most in local.most_connections : local.deployed[name].reads_replica ? most : 0])
  }
}
