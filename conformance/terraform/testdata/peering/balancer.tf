# A network load balancer in the requester's VPC, with all that is usually beside one.

resource "aws_subnet" "balanced" {
  for_each          = { a = "10.0.1.0/24", b = "10.0.2.0/24" }
  vpc_id            = aws_vpc.requester.id
  cidr_block        = each.value
  availability_zone = "us-east-1${each.key}"
}

resource "aws_security_group" "balancer" {
  name   = "balancer"
  vpc_id = aws_vpc.requester.id
}

resource "aws_lb" "this" {
  name                             = "shop"
  load_balancer_type               = "network"
  internal                         = true
  subnets                          = var.changed ? values(aws_subnet.balanced)[*].id : [aws_subnet.balanced["a"].id]
  security_groups                  = [aws_security_group.balancer.id]
  enable_cross_zone_load_balancing = !var.changed
  tags                             = { Stage = var.changed ? "changed" : "first" }
}

# At an address that is chosen, and without security groups.
resource "aws_lb" "fixed" {
  name               = "fixed"
  load_balancer_type = "network"
  internal           = true
  subnet_mapping {
    subnet_id            = aws_subnet.balanced["a"].id
    private_ipv4_address = "10.0.1.100"
  }
}

resource "aws_lb_target_group" "this" {
  name                 = "shop"
  port                 = 8443
  protocol             = "TCP"
  target_type          = "ip"
  vpc_id               = aws_vpc.requester.id
  deregistration_delay = 0
  health_check {
    protocol = var.changed ? "HTTP" : "TCP"
    interval = var.changed ? 10 : 5
    timeout  = var.changed ? 6 : 2
    path     = var.changed ? "/health" : null
  }
}

resource "aws_lb_listener" "this" {
  load_balancer_arn = aws_lb.this.arn
  port              = var.changed ? 444 : 443
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
  tags = { Stage = "first" }
}

resource "aws_lb_target_group_attachment" "this" {
  for_each         = toset(var.changed ? ["10.0.1.11", "10.0.2.10"] : ["10.0.1.10", "10.0.1.11"])
  target_group_arn = aws_lb_target_group.this.arn
  target_id        = each.value
}

data "aws_lb" "found" {
  name       = "shop"
  depends_on = [aws_lb_listener.this]
  lifecycle {
    postcondition {
      condition     = self.arn == aws_lb.this.arn && self.dns_name == aws_lb.this.dns_name && self.zone_id != ""
      error_message = "The load balancer is not told as AWS tells it."
    }
  }
}
