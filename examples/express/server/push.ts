/** Where an application would send web push; here it says what it would send. */
export async function sendPushToOrg(orgId: string, notification: { title: string; body: string; url: string }) {
  console.error(`push to ${orgId}: ${notification.title}`);
}
